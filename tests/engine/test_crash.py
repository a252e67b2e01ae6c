"""The law of crashes: killed at any write, and driven on under a new epoch, a run ends as if nothing had happened."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from hisauto.engine.drive import Drive
from hisauto.errors import Superseded
from hisauto.model.run import RunState
from hisauto.store.journal import StoreJournal
from hisauto.testing.hosts import Fault, Host
from hisauto.testing.session import MemorySession

from . import cases_attempts, cases_ends, cases_units, test_people
from .play import Case, Play

WRITES = frozenset({"note", "record", "move", "take_locks", "park", "end"})
WHOLE = bool(os.environ.get("HISAUTO_TORTURE"))
EVERY = {
    case.name: case
    for case in (*cases_attempts.CASES, *cases_units.CASES, *cases_ends.CASES, *test_people.CASES)
    # Power cuts that hit at a certain moment would hit another one after a crash.
    if not any(fault.then for fault in case.faults.values())
}
REPRESENTATIVE = [
    "steps and units in reverse",
    "on_failure: rollback undoes that unit",
    "after a unit went back, again does the unit again",
    "ways: an undo stays owed",
    "behind it rollback becomes ask",
    "granted by a person of each role",
]
SAMPLE = sorted(EVERY) if WHOLE else random.Random(1).sample(sorted(EVERY), 40)


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Mortal:
    """A journal whose process dies at its k-th write: before it, or when it is committed."""

    journal: StoreJournal
    at: int
    """Counts from 1; 0: it lives."""
    after: bool
    dead: bool = False
    written: int = 0
    names: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.journal, name)
        return self._write(name, real) if name in WRITES else real

    def _write(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **more: Any) -> Any:
            if self.dead:
                raise Killed
            self.written += 1
            self.names.append(name)
            if self.written != self.at:
                return real(*args, **more)
            self.dead = True
            if self.after:
                real(*args, **more)
            raise Killed

        return write


def outcome(play: Play, run: str) -> dict[str, Any]:
    """What has to be the same however often the process died."""
    for host in play.world.hosts.values():
        host.tick()
    summary = play.store.view(run).summary
    return {
        "end": play.store.view(run).state,
        "moves": play.moves(),
        "attempts": sorted(
            # How often an undo was tried while its host was away is a matter of time.
            (a.path if "!undo" in a.path else a.id, a.state, a.host or "", a.result["outcome"])
            for a in play.store.attempts(run)
            if not ("!undo" in a.path and a.result["never_started"])
        ),
        "state": {name: host.state for name, host in play.world.hosts.items()},
        "left": summary.get("left"),
        "tolerated": summary.get("tolerated"),
        "why": summary.get("why"),
    }


def drive_on(play: Play, run: str, case: Case, kills: list[tuple[int, bool]]) -> bool:
    """Drive through these deaths, each life's at its k-th write. Whether the run has ended: else it waits."""
    turns, lives = list(case.turns), list(kills)
    while not play.store.view(run).state.ended:
        try:
            end = play.drive(run, Mortal(play.store.claim(run, "node-1"), *(lives.pop(0) if lives else (0, False))))
        except Killed:
            continue
        if end is None and not turns:
            return False
        if end is None:
            play.turn(run, turns.pop(0))
    return True


@pytest.fixture
def theatre(play: Play) -> Callable[[], Play]:
    """Fresh sites over one database."""
    made: list[Play] = []

    def make() -> Play:
        made.append(Play(play.store, play.clock))
        return made[-1]

    return make


def undisturbed(play: Play, case: Case) -> tuple[dict[str, Any], int]:
    run = play.prepare(case)
    turns, writes = list(case.turns), 0
    while True:
        mortal = Mortal(play.store.claim(run, "node-1"), 0, False)
        end = play.drive(run, mortal)
        writes += mortal.written
        if end is not None:
            return outcome(play, run), writes
        play.turn(run, turns.pop(0))


def check(theatre: Callable[[], Play], case: Case, expected: dict[str, Any], kills: list[tuple[int, bool]]) -> None:
    play = theatre()
    run = play.prepare(case)
    try:
        ended = drive_on(play, run, case, kills)
        started = [(host, attempt) for host, attempt, _ in play.world.moves]
        assert len(started) == len(set(started)), f"started twice, killed at {kills}"
        if by_the_clock(case):
            # Time passes while nobody drives: what would have been known is in doubt, what was not there yet, there.
            assert ended or play.store.view(run).state is RunState.in_doubt, f"killed at {kills}"
        else:
            assert ended
            assert outcome(play, run) == expected, f"killed at {kills}"
    finally:
        play.finish()


def by_the_clock(case: Case) -> bool:
    """Whether it matters when, or in which life, something is looked at."""
    faults = case.faults.values()
    return bool(case.without_receipts) or any(f.away or f.late or f.lost == "unsent" for f in faults)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_killed_at_every_write(theatre: Callable[[], Play], name: str) -> None:
    case = EVERY[name]
    expected, writes = undisturbed(theatre(), case)
    every = [(k, after) for k in range(1, writes + 1) for after in (False, True)]
    if not WHOLE:
        every = random.Random(name).sample(every, min(len(every), 8))
    for k, after in every:
        check(theatre, case, expected, [(k, after)])


@pytest.mark.parametrize("name", SAMPLE)
def test_killed_again_and_again(theatre: Callable[[], Play], name: str) -> None:
    """Every life but the last ends after a few writes, wherever those are."""
    case, chance = EVERY[name], random.Random(name)
    expected, writes = undisturbed(theatre(), case)
    for _ in range(10 if WHOLE else 1):
        kills = [(chance.randint(1, 6), chance.random() < 0.5) for _ in range(writes)]
        check(theatre, case, expected, kills)


def test_a_superseded_drive_starts_nothing_and_writes_nothing(play: Play) -> None:
    """It wakes up between two of its steps, or between its intent and its act."""
    text = """
    steps:
      - {name: One, hosts: a, set: {one: 1}}
      - {name: Two, hosts: a, set: {two: 1}}
    """
    run = play.request(text)
    old = play.store.claim(run, "node-1")
    drive = Drive(old, play.world.at(run), play.clock)
    ended: list[RunState | None] = []
    play.world.hosts["a"].fault("1[a]", Fault(lost="answer", then=lambda _: ended.append(play.drive(run))))
    with pytest.raises(Superseded):
        drive.go()
    assert ended == [RunState.succeeded]
    assert play.moves() == "a one=1, a two=1"
    log = [entry.raw for entry in play.store.entries(run=run)]
    with pytest.raises(Superseded):
        drive.go()
    assert [entry.raw for entry in play.store.entries(run=run)] == log


def test_a_host_refuses_an_older_epoch(play: Play) -> None:
    run = play.request("    steps:\n      - {name: One, hosts: a, set: {one: 1}}\n")
    host: Host = play.world.hosts["a"]
    session = MemorySession(host, run, play.clock)
    place = session.place()
    script = Drive(play.store.claim(run, "node-1"), play.world.at(run), play.clock)
    assert script.journal.epoch == 1
    assert session.settle("1[a]#1", 2, place).fate == "none"
    assert session.settle("1[a]#1", 1, place).fate == "refused"
    assert play.world.moves == []
