"""A cancel, in the states that a run can be in, with a real node and a real sshd: how it ends, and what is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.transports.places import STUBBORN, Sshd, left, start_sshd, stop_sshd, until

from .conftest import TestSite

GONE = 2.0
"""Seconds from `hisauto cancel` to where nothing is left on the host, also of what ignores a TERM."""
HEAD = "runbook: case\nversion: 1.0.0\ntitle: A case\nkind: routine\nowner: dba\n"
ONE = """\
steps:
  - name: One
    hosts: h1
    shell: echo one >> ROOT/done
    undo: {shell: echo back >> ROOT/done, idempotent: true}
"""
AFTER = "  - {name: Not this, hosts: h1, shell: echo after >> ROOT/done}\n"
WORK = ONE + "  - {name: Work, hosts: h1, shell: sh ROOT/stubborn}\n" + AFTER
HELD = "touch ROOT/at-work; until [ -e ROOT/go ]; do sleep 0.1; done"


@dataclass(frozen=True)
class Case:
    """``text``: below the head; ROOT is the test's folder, and ROOT/stubborn doesn't end by itself."""

    text: str
    at: str
    """Where it is cancelled: what it waits for (a question's kind), or ``at work``."""
    end: str = "cancelled"
    done: tuple[str, ...] = ("one", "back")
    held: bool = False
    """The cancel doesn't end what is at work: that goes on until it is let go."""


CASES = {
    "at a gate": Case(ONE + "  - {name: Agree, approve: {question: Go on?, by: {dba: 1}, within: 10m}}\n" + AFTER,
                      "gate"),
    "asking": Case("on_failure: ask\n" + ONE + "  - {name: Fails, hosts: h1, shell: exit 1}\n" + AFTER, "ask"),
    "by hand": Case(ONE + "  - {name: Turn, manual: {do: Turn it, by: dba}}\n" + AFTER, "manual"),
    "a command": Case(WORK, "at work"),
    "a command that ignores TERM": Case(WORK, "at work"),
    "interrupt: never": Case(
        ONE + f"  - {{name: Work, hosts: h1, interrupt: never, shell: '{HELD}; echo whole >> ROOT/done'}}\n" + AFTER,
        "at work", done=("one", "whole", "back"), held=True),
    "rolling back": Case(
        "on_failure: rollback\n" + ONE.replace("shell: echo back", f"shell: '{HELD}; echo back").replace(
            "done, idem", "done', idem") + "  - {name: Fails, hosts: h1, shell: exit 1}\n",
        "at work", end="rolled_back", held=True),
}  # fmt: skip


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)


@pytest.fixture
def nap() -> Iterator[str]:
    """Seconds for which nobody else sleeps; who is found at it by the end was left by a test that failed."""
    seconds = f"{time.monotonic_ns() % 10**7 + 10**7}.75"
    yield seconds
    for pid in left(seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("state", CASES)
def test_a_cancel(site: TestSite, sshd: Sshd, nap: str, tmp_path: Path, state: str) -> None:
    case = CASES[state]
    settings = json.loads((site.root / "hisauto.yml").read_text())
    settings["ssh"] |= {"known_hosts": str(sshd.known_hosts), "keys": [str(sshd.key)]}
    (site.root / "hisauto.yml").write_text(json.dumps(settings))
    hosts = {"all": {"hosts": {"h1": sshd.vars}}}
    (site.root / "inventory" / "hosts.yml").write_text(json.dumps(hosts))
    (site.root / "runbooks" / "case.yml").write_text(HEAD + case.text.replace("ROOT", str(tmp_path)))
    stubborn = STUBBORN.format(nap).replace("echo going", f"touch {tmp_path}/at-work")
    if "ignores" not in state:
        stubborn = stubborn.replace("trap '' TERM; ", "").replace('trap "" TERM; ', "")
    (tmp_path / "stubborn").write_text(stubborn)
    run = site.started("case")
    if case.at == "at work":
        site.until((tmp_path / "at-work").exists)
    else:
        site.waiting(run, case.at)
    if state.startswith("a command"):
        until(lambda: len(left(nap)) >= 4, "its children have begun")
    begun = time.monotonic()
    said = site.invoke("cancel", run, "--reason", "a test", "--yes", who="op-1")
    assert said.exit_code == 0, said.output
    if state.startswith("a command"):
        until(lambda: not left(nap), "nothing of it is left", GONE - (time.monotonic() - begun))
    if case.held:
        while time.monotonic() < begun + GONE:  # by which a cancel ends what it may
            assert site.json("show", run)["ended_at"] is None
        (tmp_path / "go").touch()
    assert site.ended(run)["state"] == case.end, site.invoke("show", run).output
    assert not left(nap), "the end is on record only after what was at work is gone"
    assert tuple((tmp_path / "done").read_text().split()) == case.done
