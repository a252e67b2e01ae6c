"""Rehearsals of the bundled runbooks, whole or changed, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from hisauto import actions
from hisauto.runbook.documents import Runbook
from hisauto.testing.clock import VirtualClock
from hisauto.testing.rehearsal.explore import hasty_store, hows
from hisauto.testing.rehearsal.faults import Fault, How, Schedule
from hisauto.testing.rehearsal.play import Player
from hisauto.testing.rehearsal.played import Played
from hisauto.testing.rehearsal.rehearse import Rehearsal, open_rehearsal

ROOT = Path(__file__).parents[2]
Change = Callable[[Runbook], Runbook]


@cache
def rehearsal(name: str) -> Rehearsal:
    return open_rehearsal(ROOT / "runbooks" / f"{name}.yml", actions.load(), lambda path: path.name)


@contextmanager
def player(name: str, test: str, folder: Path, change: Change = lambda runbook: runbook) -> Iterator[Player]:
    """Plays a test of a bundled runbook, as it is or changed."""
    script = rehearsal(name).script
    changed = replace(script, runbook=change(script.runbook))
    one = next(t for t in script.facts.tests if t.test == test)
    clock = VirtualClock()
    store = hasty_store(folder / f"{test.replace(' ', '-')[:40]}.db", clock)
    try:
        yield Player(changed, one, store, clock)
    finally:
        store.close()


def faults(calm: Played, step: str, *wanted: How) -> list[Schedule]:
    """The single faults that are tried at a step."""
    return [
        Schedule((Fault(spot.at, how, spot.step),))
        for spot in calm.spots
        if spot.step.startswith(step)
        for how in hows(spot)
        if how in wanted
    ]
