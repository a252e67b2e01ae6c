"""Every effect exactly once and its result known, whoever is killed, cut off or frozen, and whoever takes over.

A seeded sample; HISAUTO_TORTURE=1 takes all of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from hisauto.errors import Unreachable
from hisauto.model.transport import Completed, Fate, Receipt, Script, Session
from hisauto.transports import shell

from .client import weaken
from .places import Place, until

TIMES = 50 if os.environ.get("HISAUTO_TORTURE") else 10
RESULT = Completed(0, "exit", b"done\n", b"also\n")


@dataclass
class Client:
    """A client process of its own."""

    pid: int
    report: Path

    def said(self) -> dict[str, Any]:
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        return {k: v for line in lines for k, v in json.loads(line).items()}

    def place(self) -> str:
        until(lambda: "place" in self.said(), "the client's place")
        return str(self.said()["place"])

    def wait_stopped(self) -> None:
        until(lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED, "the client stands still")

    def wait_gone(self) -> None:
        until(lambda: not psutil.pid_exists(self.pid), "the client's end")


@dataclass
class Clients:
    """Starts them."""

    process: subprocess.Popen[str]
    folder: Path
    pids: list[int] = field(default_factory=list)

    def start(self, there: Place, run: str, script: str, *, freeze: bool = False, weak: bool = False) -> Client:
        report = self.folder / f"{run}.report"
        order = {
            "kind": there.kind, "base": str(there.base), "vars": there.vars, "run": run, "report": str(report),
            "known_hosts": str(there.sshd and there.sshd.known_hosts), "key": str(there.sshd and there.sshd.key),
            "epoch": 1, "script": script, "freeze": freeze, "weak": weak,
        }  # fmt: skip
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self.pids.append(int(self.process.stdout.readline()))
        return Client(self.pids[-1], report)


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("client.py")], stdin=pipe, stdout=pipe, text=True
    ) as process:
        made = Clients(process, tmp_path)
        yield made
        for pid in made.pids:
            if psutil.pid_exists(pid) and psutil.Process(pid).ppid() == process.pid:
                os.kill(pid, signal.SIGKILL)
        assert process.stdin
        process.stdin.close()


def effect(effects: Path, sleep: float = 0.0) -> str:
    return f"sleep {sleep:.3f}; echo x >>'{effects}'; echo done; echo also >&2"


def take_over(session: Session, place: str, script: str, seen: Counter[str], epoch: int = 2) -> Receipt:
    """What the next driver does: ask, and start it only where it never started."""
    receipt = session.settle("step", epoch, place, wait=10)
    seen[receipt.fate] += 1
    if receipt.fate is Fate.none:
        receipt = session.act("step", epoch, Script(script), place)
    return receipt


def count(effects: Path) -> int:
    return len(effects.read_text().splitlines()) if effects.exists() else 0


def test_killed_client(there: Place, clients: Clients, tmp_path: Path, run: str) -> None:
    chance, seen = random.Random(1), Counter[str]()
    for i in range(TIMES):
        effects, naps = tmp_path / f"effects-{i}", chance.uniform(0, 0.2)
        script = effect(effects, naps)
        victim = clients.start(there, f"{run}-{i}", script)
        place = victim.place()
        time.sleep(chance.uniform(0, 0.02 if i % 2 else naps + 0.02))
        os.kill(victim.pid, signal.SIGKILL)
        receipt = take_over(there.session(f"{run}-{i}"), place, script, seen)
        assert (receipt.fate, receipt.completed) == (Fate.finished, RESULT), (i, seen)
        assert count(effects) == 1, (i, seen)


def test_frozen_client(there: Place, clients: Clients, tmp_path: Path, run: str) -> None:
    assert frozen(there, clients, tmp_path, run, weak=False) == {1: TIMES}


def test_frozen_client_without_safeguards(
    there: Place, clients: Clients, tmp_path: Path, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the test above can see doubles."""
    monkeypatch.setattr(shell, "RECEIPTS", weaken(shell.RECEIPTS))
    assert frozen(there, clients, tmp_path, run, weak=True)[2] > 0


def frozen(there: Place, clients: Clients, folder: Path, run: str, weak: bool) -> Counter[int]:
    """A driver freezes after its intent, another takes over, the first thaws, sometimes both at once."""
    chance, seen, times = random.Random(2), Counter[str](), Counter[int]()
    for i in range(TIMES):
        effects = folder / f"effects-{i}"
        script = effect(effects)
        old = clients.start(there, f"{run}-{i}", script, freeze=True, weak=weak)
        place = old.place()
        old.wait_stopped()
        new = there.session(f"{run}-{i}")
        new.place()
        thaw = threading.Timer(chance.uniform(0, 0.02) if i % 2 else 60, os.kill, (old.pid, signal.SIGCONT))
        thaw.start()
        time.sleep(chance.uniform(0, 0.02) if i % 2 else 0)
        try:
            receipt = take_over(new, place, script, seen)
        except Unreachable:  # without safeguards two workers share one receipt, and its answer may not be whole
            assert weak
        if not i % 2:
            thaw.cancel()
            os.kill(old.pid, signal.SIGCONT)
        thaw.join()
        old.wait_gone()
        times[count(effects)] += 1
        if not weak:
            assert (receipt.fate, receipt.completed) == (Fate.finished, RESULT), (i, seen)
            refused = seen[Fate.none] and old.said()["answer"] == Fate.refused
            assert refused or old.said()["answer"] in (Fate.finished, Fate.refused)
    return times


def test_cut_connection(over_ssh: Place, tmp_path: Path, run: str) -> None:
    """The server's end is killed while the client waits; the same client comes back in the same epoch."""
    chance, seen, server = random.Random(3), Counter[str](), over_ssh.sshd
    assert server
    for i in range(TIMES):
        effects = tmp_path / f"effects-{i}"
        script = effect(effects, 0.15)
        session = over_ssh.session(f"{run}-{i}")
        before = server.connections()
        place = session.place()
        assert place
        victims = list(server.connections() - before)
        cut = threading.Timer(chance.uniform(0, 0.25), lambda v=victims: [p.kill() for p in v])
        cut.start()
        try:
            receipt = session.act("step", 1, Script(script), place)
        except Unreachable:
            seen["lost"] += 1
            cut.join()
            receipt = take_over(session, place, script, seen, epoch=1)
        cut.join()
        assert (receipt.fate, receipt.completed) == (Fate.finished, RESULT), (i, seen)
        assert count(effects) == 1, (i, seen)
    assert seen["lost"] > 0


def test_killed_shell(over_ssh: Place, tmp_path: Path, run: str) -> None:
    """kill -9 of the host's shell between lock, claim, fork and answer."""
    chance, seen, server = random.Random(4), Counter[str](), over_ssh.sshd
    assert server
    for i in range(2 * TIMES):
        effects = tmp_path / f"effects-{i}"
        script = effect(effects)
        session = over_ssh.session(f"{run}-{i}")
        before = server.connections()
        place = session.place()
        assert place
        (victim,) = server.shells(server.connections() - before)
        cut = threading.Timer(chance.uniform(0, 0.01), victim.kill)
        cut.start()
        try:
            receipt = session.act("step", 1, Script(script), place)
        except Unreachable:
            seen["lost"] += 1
            receipt = take_over(session, place, script, seen)
        cut.join()
        assert (receipt.fate, receipt.completed) == (Fate.finished, RESULT), (i, seen)
        assert count(effects) == 1, (i, seen)
    assert seen["lost"] > 0
