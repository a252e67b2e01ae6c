"""A site whose record is on PostgreSQL, and nodes that share it, each a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hisauto.store.engine import open_store
from hisauto.store.store import Store
from tests.cli.conftest import TestSite, keys, make
from tests.store.cluster import BINARIES, Server, server

__all__ = ["keys"]

PATIENCE = 60.0
MARKS = """\
runbook: marks
version: 1.0.0
title: It leaves a mark, and another when it may go on
kind: routine
owner: dba
locks: ["{{ params.lock }}"]
params:
  file: {help: where}
  lock: {help: what it holds}
steps:
  - name: Mark
    shell: |
      echo begun >> {{ params.file }}
      until [ -e {{ params.file }}.go ]; do sleep 0.1; done
      echo ended >> {{ params.file }}
  - name: Once more
    shell: "echo again >> {{ params.file }}"
"""
ALL = ["begun", "ended", "again"]


@dataclass
class Group:
    """The site, the server, and the nodes that were started."""

    site: TestSite
    server: Server
    store: Store
    nodes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self) -> str:
        """A node of its own; its name, once it is on record."""
        before = {node.id for node in self.store.nodes()}
        log = (self.site.root / f"node-{len(self.nodes)}.log").open("w")
        process = self.site.start("node", stdout=log, stderr=log)
        log.close()

        def look() -> str | None:
            assert process.poll() is None, self.log()
            return next((n.id for n in self.store.nodes() if n.id not in before and n.pid == process.pid), None)

        name: str = self.until(look)
        self.nodes[name] = process
        return name

    def run(self, name: str, lock: str = "") -> str:
        params = (f"file={self.site.root / name}", f"lock={lock or name}")
        given = [word for param in params for word in ("-p", param)]
        result = self.site.invoke("run", "marks", *given, "--yes", "--no-watch", "--json", who="op-1")
        assert result.exit_code == 20, result.output + self.log()
        run: str = json.loads(result.stdout)["id"]
        return run

    def marks(self, name: str) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.site.root / name).read_text().split()
        return []

    def go(self, name: str) -> None:
        """What a run waits for in its first step."""
        (self.site.root / f"{name}.go").touch()

    def at_work(self, name: str) -> tuple[str, str, str]:
        """Two nodes and a run in its first step: the run, who drives it, and the other one."""
        both = {self.start(), self.start()}
        run = self.run(name)
        self.until(lambda: self.marks(name) == ["begun"])
        driver = self.driver(run)
        assert driver in both
        return run, driver, (both - {driver}).pop()

    def driver(self, run: str) -> str | None:
        claimed = self.store.awake().get(run)
        return claimed.node if claimed else None

    def claims(self, run: str) -> list[str]:
        """Who has claimed it, in order."""
        return [entry.actor for entry in self.store.entries(run=run) if entry.kind == "drive.claimed"]

    def signal(self, node: str, sig: signal.Signals) -> float:
        os.kill(self.nodes[node].pid, sig)
        return time.monotonic()

    def ended(self, run: str) -> str:
        self.until(lambda: self.store.view(run).state.ended)
        return str(self.store.view(run).state)

    def until(self, look: Any, patience: float = PATIENCE) -> Any:
        deadline = time.monotonic() + patience
        while not (answer := look()):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return answer

    def log(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()}" for log in sorted(self.site.root.glob("node-*.log")))

    def finish(self) -> None:
        for process in self.nodes.values():
            if process.poll() is None:
                process.kill()
            process.wait(30)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    if BINARIES is None:
        pytest.skip("PostgreSQL's server is not installed")
    with server() as made:
        yield made


@pytest.fixture
def group(postgresql: Server, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    name = f"his_{time.monotonic_ns()}"
    admin = sa.create_engine(postgresql.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    url = postgresql.url.set(database=name).render_as_string(hide_password=False)
    for variable in ("HISAUTO_PERSON", "HISAUTO_KEY", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HISAUTO_DATABASE_URL", url)
    site = make(tmp_path / "site", keys)
    (site.root / "runbooks" / "marks.yml").write_text(MARKS)
    store = open_store(url)
    made = Group(site, postgresql, store)
    yield made
    made.finish()
    store.close()
