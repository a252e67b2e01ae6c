"""The law of crashes: killed at any write, and driven on under a new epoch, a run ends as if nothing had happened."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hisauto.engine.drive import Drive
from hisauto.errors import Superseded
from hisauto.model.run import ENDS, RunState
from hisauto.store.store import Store
from hisauto.testing.cases import Case
from hisauto.testing.clock import VirtualClock
from hisauto.testing.hosts import Fault, Host
from hisauto.testing.mortal import Death, Killed, Mortal
from hisauto.testing.moves import LOOK, Expected, differences
from hisauto.testing.performance import PLANNED, Performance
from hisauto.testing.session import MemorySession
from tests.conformance import law

from .play import Play

WHOLE = bool(os.environ.get("HISAUTO_TORTURE"))
SITE = law.read_site()


def can_be_killed(case: Case) -> bool:
    """What hits at a certain moment, a power cut or a death of its own, would hit another one after a crash."""
    moments = any(fault.then for faults in case.world.faults.values() for fault in faults)
    return case.end in ENDS and not moments and not any(e.crash for e in case.happens)


EVERY = {case.case: case for cases in law.cases().values() for case in cases if can_be_killed(case)}
REPRESENTATIVE = [
    "steps and units in reverse",
    "on_failure: rollback undoes that unit",
    "after a unit went back, again does the unit again",
    "ways: an undo stays owed",
    "behind it rollback becomes ask",
    "a unit that went back before the point of no return stays so behind it",
    "granted by a person of each role",
    "for_each: a decision for each item",
    "several gates are open at a time, and any may be answered",
    "together: the way back through it",
    "together: a no beside a change is a step that failed",
    "rounds: none left",
    "nested: rolled back as part of its parent",
    "nested: twice, and in each other",
    "manual: done, with its evidence",
    "rounds: when is evaluated in each",
]
SAMPLE = sorted(EVERY) if WHOLE else random.Random(1).sample(sorted(EVERY), 40)
Theatre = Callable[[Case], Performance]


@pytest.fixture
def theatre(store: Store, clock: VirtualClock) -> Theatre:
    """Fresh sites over one database."""
    return lambda case: Performance(case, SITE, store, clock)


def at(k: int, after: bool) -> Callable[[int, str], Death]:
    """Death at the k-th write, from 1; 0: it lives."""
    return lambda n, _: ("after" if after else "before") if n == k else ""


def outcome(play: Performance) -> dict[str, Any]:
    """What has to be the same however often the process died."""
    for host in play.world.hosts.values():
        host.tick()
    view = play.store.view(play.run)
    return {
        "end": view.state,
        "attempts": sorted(
            # How often an undo was tried while its host was away is a matter of time.
            (a.path if "!undo" in a.path else a.id, a.state, a.host or "", a.result["outcome"])
            for a in play.store.attempts(play.run)
            if not ("!undo" in a.path and a.result["never_started"])
        ),
        "state": {name: host.state for name, host in play.world.hosts.items()},
        "left": view.summary.get("left"),
        "tolerated": view.summary.get("tolerated"),
        "why": view.summary.get("why"),
    }


def acts(expected: Sequence[Expected]) -> list[Expected]:
    """The moves that change something: looks may be repeated."""
    found = [part if isinstance(part, str) else acts(part) for part in expected]
    return [part for part in found if part and not (isinstance(part, str) and LOOK in part)]


def drive_on(play: Performance, kills: list[tuple[int, bool]]) -> tuple[bool, int]:
    """Drive through these deaths, each life's at its k-th write. Whether the run has ended, or waits; all writes."""
    events, lives, writes = list(play.case.happens), list(kills), 0
    if events and events[0].at == PLANNED:
        play.happen(events.pop(0))
    while not play.store.view(play.run).state.ended:
        mortal = Mortal(play.store.claim(play.run, "node-1"), at(*(lives.pop(0) if lives else (0, False))))
        try:
            end = play.stage.drive(play.run, mortal)
        except Killed:
            continue
        finally:
            writes += mortal.written
        if end is None and not events:
            return False, writes
        if end is None:
            play.happen(events.pop(0))
    return True, writes


def undisturbed(theatre: Theatre, case: Case) -> tuple[dict[str, Any], int]:
    play = theatre(case)
    play.prepare()
    try:
        _, writes = drive_on(play, [])
        return outcome(play), writes
    finally:
        play.finish()


def check(theatre: Theatre, case: Case, expected: dict[str, Any], kills: list[tuple[int, bool]]) -> None:
    play = theatre(case)
    play.prepare()
    try:
        ended, _ = drive_on(play, kills)
        started = [(host, attempt) for host, attempt, _ in play.world.moves]
        assert len(started) == len(set(started)), f"started twice, killed at {kills}"
        if by_the_clock(case):
            # Time passes while nobody drives: what would have been known is in doubt, what was not there yet, there.
            assert ended or play.store.view(play.run).state is RunState.in_doubt, f"killed at {kills}"
        else:
            assert ended
            assert outcome(play) == expected, f"killed at {kills}"
            moves = [move for move in play.world.trace if LOOK not in move]
            assert differences(acts(case.expected), moves) == [], f"killed at {kills}"
    finally:
        play.finish()


def by_the_clock(case: Case) -> bool:
    """Whether it matters when, or in which life, something is looked at."""
    faults = [fault for faults in case.world.faults.values() for fault in faults]
    away = any(event.away for event in case.happens)
    return bool(case.world.without_receipts) or away or any(f.away or f.late or f.lost == "unsent" for f in faults)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_killed_at_every_write(theatre: Theatre, name: str) -> None:
    case = EVERY[name]
    expected, writes = undisturbed(theatre, case)
    every = [(k, after) for k in range(1, writes + 1) for after in (False, True)]
    if not WHOLE:
        every = random.Random(name).sample(every, min(len(every), 8))
    for k, after in every:
        check(theatre, case, expected, [(k, after)])


@pytest.mark.parametrize("name", SAMPLE)
def test_killed_again_and_again(theatre: Theatre, name: str) -> None:
    """Every life but the last ends after a few writes, wherever those are."""
    case, chance = EVERY[name], random.Random(name)
    expected, writes = undisturbed(theatre, case)
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
