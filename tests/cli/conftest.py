"""A small site in a temporary folder: real keys, a real node, and runbooks whose steps run on the node itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hisauto.cli import language
from hisauto.cli.nodes import is_working
from hisauto.cli.root import cli

PEOPLE = {"op-1": "operator", "dba-1": "dba", "duty-1": "duty"}
PATIENCE = 40.0

HELLO = """\
runbook: hello
version: 1.0.0
title: {en: Say hello, zh: 问好}
kind: routine
owner: dba
objectives: {rto: 5m}
params:
  folder: {help: where}
guards:
  - name: The folder is there
    command: "test -d {{ params.folder }}"
    register: folder
steps:
  - name: Two people agree
    approve: {question: "Write into it?", facts: [folder], by: {dba: 1, duty: 1}, break_glass: true}
  - name: Write
    command: "touch {{ params.folder }}/hello"
    done_when: {command: "test -e {{ params.folder }}/hello"}
    undo: {command: "rm -f {{ params.folder }}/hello", idempotent: true}
  - name: Speak
    shell: printf 'one\\033[2Jtwo\\n'
verify:
  - name: It is there
    command: "test -e {{ params.folder }}/hello"
"""
FAILS = """\
runbook: fails
version: 1.0.0
title: It fails, and asks
kind: routine
owner: dba
on_failure: ask
params:
  flag: {help: it fails until this file is there}
steps:
  - name: Only with the flag
    command: "test -e {{ params.flag }}"
"""
SLEEPS = """\
runbook: sleeps
version: 1.0.0
title: It takes its time
kind: routine
owner: dba
steps:
  - name: Sleep
    shell: for i in 1 2 3 4 5 6; do echo round $i; sleep 10; done
"""


@dataclass
class TestSite:
    """The folder, and the command line at it."""

    __test__ = False

    root: Path
    keys: Path
    env: dict[str, str] = field(default_factory=dict)

    def invoke(self, *args: str, who: str | None = None, site: bool = True) -> Result:
        """In this process; exit codes and both streams as a user has them."""
        return CliRunner().invoke(cli, self._argv(args, who, site), prog_name="hisauto", env=self.env)

    def start(self, *args: str, who: str | None = None, **more: Any) -> subprocess.Popen[str]:
        """As a process of its own."""
        argv = [sys.executable, "-m", "hisauto", *self._argv(args, who, True)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(argv, text=True, env={**os.environ, **self.env}, **{**pipes, **more})

    def json(self, *args: str, who: str | None = None) -> Any:
        return json.loads(self.invoke(*args, "--json", who=who).stdout)

    def until(self, look: Callable[[], Any]) -> Any:
        """The first true answer."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := look()):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return answer

    def started(self, runbook: str, *params: str) -> str:
        """The id of a run that nobody watches."""
        given = [word for param in params for word in ("-p", param)]
        result = self.invoke("run", runbook, *given, "--yes", "--no-watch", "--json", who="op-1")
        assert result.exit_code == 20, result.output + self.log()
        run: str = json.loads(result.stdout)["id"]
        return run

    def waiting(self, run: str, kind: str) -> dict[str, Any]:
        """The run, once it waits for this."""

        def look() -> Any:
            view = self.json("show", run)
            return view if (view["question"] or {}).get("kind") == kind else None

        view: dict[str, Any] = self.until(look)
        return view

    def ended(self, run: str) -> dict[str, Any]:
        view: dict[str, Any] = self.until(lambda: (v := self.json("show", run))["ended_at"] and v)
        return view

    def log(self) -> str:
        path = self.root / ".hisauto" / "node.log"
        return path.read_text() if path.exists() else ""

    def node(self) -> int | None:
        """The pid of the node that works here."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.root / ".hisauto" / "node.lock").read_text())
            os.kill(pid, 0)
            return pid
        return None

    def end_node(self, sig: signal.Signals = signal.SIGTERM) -> None:
        pid, folder = self.node(), self.root / ".hisauto"
        if pid is not None and is_working(folder):
            os.kill(pid, sig)
            self.until(lambda: not is_working(folder))

    def _argv(self, args: tuple[str, ...], who: str | None, site: bool) -> list[str]:
        by = ["--as", who, "--key", str(self.keys / who)] if who else []
        return [*(["--site", str(self.root)] if site else []), *by, *args]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Whatever language a test speaks, the next one begins in English."""
    language.use(language.ENGLISH)
    yield
    language.use(language.ENGLISH)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key for each person, and one of nobody."""
    folder = tmp_path_factory.mktemp("keys")
    for person in (*PEOPLE, "nobody"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(folder / person)]
        subprocess.run(argv, check=True)
    return folder


@pytest.fixture
def site(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestSite]:
    made = make(tmp_path / "site", keys)
    for name in ("HISAUTO_PERSON", "HISAUTO_KEY", "HISAUTO_DATABASE_URL", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no keys of whoever runs the tests
    yield made
    made.end_node()


def make(root: Path, keys: Path) -> TestSite:
    (root / "runbooks").mkdir(parents=True)
    (root / "inventory").mkdir()
    people = {
        person: {"roles": [role], "keys": [" ".join((keys / f"{person}.pub").read_text().split()[:2])]}
        for person, role in PEOPLE.items()
    }
    may = {"run": ["operator"], "decide": ["dba"], "cancel": ["operator"]}
    settings = {"site": {"id": "tiny"}, "people": people, "may": may, "ssh": {"agent": False, "connect_timeout": "1s"}}
    (root / "hisauto.yml").write_text(json.dumps(settings))
    hosts = {"all": {"hosts": {"h1": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}}
    (root / "inventory" / "hosts.yml").write_text(json.dumps(hosts))
    for name, text in {"hello": HELLO, "fails": FAILS, "sleeps": SLEEPS}.items():
        (root / "runbooks" / f"{name}.yml").write_text(text)
    return TestSite(root, keys, {"COLUMNS": "140"})
