"""A driver freezes around an act, a newer epoch takes over and finishes, the old one wakes: one effect, one record.

A seeded sample; HISAUTO_TORTURE=1 takes all of it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from hisauto.app import App
from hisauto.audit.verify import verify_entries
from hisauto.cli.nodes import is_working

from ..labs import REPOSITORY, until
from ..transports.places import Sshd, keygen, start_sshd, stop_sshd

pytestmark = pytest.mark.timeout(7200 if os.environ.get("HISAUTO_TORTURE") else 300)

TIMES = 50 if os.environ.get("HISAUTO_TORTURE") else 6
SECONDS = 2.0
RUNBOOK = """\
runbook: once
version: 1.0.0
title: A command that can't be repeated
kind: routine
owner: dba
on_failure: stop
params:
  file: {help: what it appends a line to}
steps:
  - name: Append
    hosts: h1
    shell: echo x >> {{ params.file }}; sleep 2; echo told
    register: said
verify:
  - name: Its answer is known
    hosts: h1
    shell: echo {{ said.stdout }}
    expect: stdout == 'told'
"""


@dataclass
class Driver:
    """A process that drives a run."""

    pid: int
    report: Path

    def said(self) -> dict[str, Any]:
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        return {key: value for line in lines for key, value in json.loads(line).items()}

    def claimed(self) -> bool:
        return "epoch" in self.said()

    def ended(self) -> bool:
        return "end" in self.said()

    def freeze(self) -> bool:
        """False: it has ended."""
        try:
            os.kill(self.pid, signal.SIGSTOP)
            until(lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False
        return True

    def thaw(self) -> None:
        """Also if it is awake, or has been and ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)


@dataclass
class Drivers:
    """Starts them."""

    process: subprocess.Popen[str]
    made: list[Driver]

    def start(self, site: Path, run: str, node: str) -> Driver:
        report = site / f"{node}.report"
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(
            json.dumps({"site": str(site), "run": run, "node": node, "report": str(report)}) + "\n"
        )
        self.process.stdin.flush()
        self.made.append(Driver(int(self.process.stdout.readline()), report))
        return self.made[-1]


@pytest.fixture
def drivers() -> Iterator[Drivers]:
    pipe = subprocess.PIPE
    argv = [sys.executable, "-m", f"{__package__}.drivers"]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY) as process:
        found = Drivers(process, [])
        yield found
        for driver in found.made:
            if psutil.pid_exists(driver.pid) and psutil.Process(driver.pid).ppid() == process.pid:
                os.kill(driver.pid, signal.SIGKILL)
        assert process.stdin
        process.stdin.close()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keygen(tmp_path_factory.mktemp("keys") / "op-1")


def make_site(root: Path, sshd: Sshd, key: Path) -> Path:
    """One host, one person, one runbook."""
    (root / "runbooks").mkdir(parents=True)
    (root / "inventory").mkdir()
    person = {"roles": ["operator"], "keys": [" ".join(key.with_suffix(".pub").read_text().split()[:2])]}
    settings = {
        "site": {"id": "tiny"}, "people": {"op-1": person}, "may": {"run": ["operator"]},
        "ssh": {"agent": False, "known_hosts": str(sshd.known_hosts), "keys": [str(sshd.key)]},
    }  # fmt: skip
    (root / "hisauto.yml").write_text(json.dumps(settings))
    about = {**sshd.vars, "ansible_user": getpass.getuser(), "hisauto_receipts": str(root / "receipts")}
    (root / "inventory" / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"h1": about}}}))
    (root / "runbooks" / "once.yml").write_text(RUNBOOK)
    return root


def requested(site: Path, key: Path, file: Path) -> str:
    """A run that nobody drives yet."""
    app = App(site)
    try:
        return app.request(app.plan("once", {"file": str(file)}), app.signer("op-1", key)).id
    finally:
        for transport in app.transports.values():
            transport.close()
        app.store.close()


def lockable(site: Path) -> bool:
    """Whether anybody can write to the database: one who froze in mid-transaction keeps everybody out."""
    connection = sqlite3.connect(site / ".hisauto/hisauto.db", timeout=0.2, isolation_level=None)
    try:
        connection.execute("begin immediate")
        connection.execute("rollback")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def freeze(old: Driver, site: Path, chance: random.Random) -> bool:
    """At this moment, or at the next one at which SQLite's write lock isn't in its hands. False: it has ended.

    A file's lock frozen with its holder is why two nodes on one file are refused; here it is about the rest.
    """
    while old.freeze():
        if lockable(site):
            return True
        old.thaw()
        time.sleep(chance.uniform(0, 0.01))
    return False


def take_over(site: Path, key: Path, sshd: Sshd, drivers: Drivers, seed: int) -> str:
    """One freeze, one take-over, one awakening. How far the first one had come."""
    chance, file = random.Random(seed), site / "effects"
    run = requested(make_site(site, sshd, key), key, file)
    old = drivers.start(site, run, "node-1")
    if seed % 2:  # around the start of the act
        until(old.claimed, 60)
        time.sleep(chance.uniform(0, 0.8))
    else:  # around its end
        until(file.exists, 60)
        time.sleep(chance.uniform(0, SECONDS + 0.3))
    frozen, store = freeze(old, site, chance), App(site).store
    had = [a.state.value for a in store.attempts(run)]
    if not frozen or old.ended() or store.view(run).state.ended:
        store.close()
        old.thaw()
        return "it had ended"
    new = drivers.start(site, run, "node-2")
    until(new.claimed, 60)
    if chance.random() < 0.5:  # both at once
        time.sleep(chance.uniform(0, SECONDS))
        old.thaw()
    until(new.ended, 60)
    old.thaw()
    until(old.ended, 60)
    assert new.said() == {"epoch": 2, "end": "succeeded"}, (seed, had, new.said(), old.said())
    assert old.said() == {"epoch": 1, "end": "superseded"}, (seed, had, old.said())
    assert file.read_text() == "x\n", (seed, had)
    (attempt,) = store.attempts(run)
    assert (attempt.state, attempt.result["values"]["stdout"]) == ("done", "told")
    log = list(store.entries(0, run))
    claimed = next(i for i, entry in enumerate(log) if entry.kind == "drive.claimed" and entry.data["epoch"] == 2)
    assert {entry.actor for entry in log[claimed:]} == {"node-2"}
    assert verify_entries(store.raw_entries(), [], []).ok
    store.close()
    return had[0] if had else "before the intent"


def test_a_frozen_driver_that_wakes_up_does_nothing(tmp_path: Path, sshd: Sshd, key: Path, drivers: Drivers) -> None:
    with ThreadPoolExecutor(3) as pool:
        came = list(pool.map(lambda i: take_over(tmp_path / f"s{i}", key, sshd, drivers, i), range(TIMES)))
    print(f"measured: frozen when: { {state: came.count(state) for state in set(came)} }")
    assert came.count("it had ended") <= TIMES // 3
    assert "started" in came


def node(site: Path, **env: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "hisauto", "--site", str(site), "node"]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})


@pytest.mark.parametrize("same_site", [True, False])
def test_two_nodes_on_one_file_are_refused(tmp_path: Path, sshd: Sshd, key: Path, same_site: bool) -> None:
    """Also from another site's folder: what counts is the file."""
    one, other = (make_site(tmp_path / name, sshd, key) for name in ("one", "other"))
    url = f"sqlite:///{one}/.hisauto/hisauto.db"
    first = node(one)
    try:
        until(lambda: is_working(one / ".hisauto"), 60)
        second = node(one if same_site else other, HISAUTO_DATABASE_URL=url)
        _, said = second.communicate(timeout=60)
        assert second.returncode == 3, said
        assert f"process {first.pid}" in said and "Traceback" not in said
        assert first.poll() is None
    finally:
        first.terminate()
        first.communicate(timeout=60)
    assert first.returncode == 0
