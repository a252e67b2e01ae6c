"""Every fault in turn, then pairs of them: which schedules there are, who plays them, and how much was covered.

The order is the same each time: single faults as the undisturbed run meets them, with everything that people may
answer; then second faults behind each first one, all of them or a sample by the seed.
"""

from __future__ import annotations

import gc
import os
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import sqlalchemy as sa

from hisauto.store.engine import open_store
from hisauto.store.store import Store
from hisauto.testing.clock import VirtualClock
from hisauto.testing.rehearsal.facts import Test
from hisauto.testing.rehearsal.faults import DEATHS, OF_A_GATE, OF_A_LOOK, OF_AN_ACT, Fault, How, Schedule
from hisauto.testing.rehearsal.play import Player
from hisauto.testing.rehearsal.played import Played, Script, Spot

ASKED = 2
"""After how many answers people are no longer tried for others."""
CHUNK = 4
Progress = Callable[[int, int], None]
"""How many schedules were played, and how many there are so far."""


@dataclass
class Explored:
    """All that was seen of one test."""

    test: Test
    calm: Played
    """Nothing goes wrong."""
    singles: list[Played] = field(default_factory=list)
    pairs: list[Played] = field(default_factory=list)
    all_singles: int = 0
    all_pairs: int | None = None
    """None: nobody counted them."""

    @property
    def every(self) -> list[Played]:
        return [self.calm, *self.singles, *self.pairs]

    @property
    def wrong(self) -> list[str]:
        """Why it fails before anything goes wrong."""
        if self.calm.end != self.test.end:
            why = f" ({self.calm.why})" if self.calm.why else ""
            return [f"undisturbed, it ends {self.calm.end}, expected: {self.test.end}{why}", *self.calm.violations]
        return self.calm.violations

    @property
    def counterexamples(self) -> list[Played]:
        """Schedules that break a law, the shortest first."""
        return [played for played in self.every if played.violations]


@dataclass(frozen=True)
class Bounds:
    """How far to go."""

    faults: int = 2
    """In one run."""
    schedules: int = 1000
    """Of one test, at most; singles come first."""
    seed: int = 1
    step: str = ""
    """Only faults of steps with this in their names."""
    workers: int = 0
    """0: one for each processor."""


class Team:
    """Processes that play schedules side by side, each on a store of its own."""

    def __init__(self, script: Script, test: Test, workers: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="hisauto-rehearsal-", dir=_memory())
        given = (script, test, Path(self.folder.name))
        self.pool = ProcessPoolExecutor(workers, get_context("fork"), _begin, given) if workers > 1 else None
        if self.pool is None:
            _begin(*given)

    def play(self, schedules: Iterable[Schedule]) -> Iterator[Played]:
        """In order."""
        return (map if self.pool is None else self._spread)(_play, schedules)

    def _spread(self, one: Callable[[Schedule], Played], schedules: Iterable[Schedule]) -> Iterator[Played]:
        assert self.pool is not None
        return self.pool.map(one, schedules, chunksize=CHUNK)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
        for player in _here:
            player.store.close()
        _here.clear()
        self.folder.cleanup()


_here: list[Player] = []
"""This process's own."""


def _begin(script: Script, test: Test, folder: Path) -> None:
    clock = VirtualClock()
    store = hasty_store(folder / f"{os.getpid()}.db", clock)
    _here[:] = [Player(script, test, store, clock)]
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a schedule leaves little behind: a quarter faster


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    folder = Path("/dev/shm")  # noqa: S108 — the folder in it is private
    return str(folder) if os.access(folder, os.W_OK) else None


def hasty_store(file: Path, clock: VirtualClock) -> Store:
    """The real store, that nobody means to keep: nothing is synced."""
    store = open_store(f"sqlite:///{file}", clock)

    @sa.event.listens_for(store.engine, "connect")
    def hasten(connection: object, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]

    store.engine.dispose()
    return store


def _play(schedule: Schedule) -> Played:
    played = _here[0].play(schedule)
    if not played.violations and schedule.faults:
        played.story.clear()  # nobody asks for it, and it is long
    if len(schedule.faults) > 1:
        played.spots.clear()  # no third fault follows
    return played


# ---------------------------------------------------------------- which schedules there are
def explore(script: Script, test: Test, bounds: Bounds, progress: Progress = lambda done, of: None) -> Explored:
    """Play a test within bounds."""
    team = Team(script, test, bounds.workers or os.cpu_count() or 1)
    try:
        return _Exploration(team, test, bounds, progress).go()
    finally:
        team.close()


class _Exploration:
    def __init__(self, team: Team, test: Test, bounds: Bounds, progress: Progress) -> None:
        self.team, self.bounds, self.progress = team, bounds, progress
        self.explored = Explored(test, next(iter(team.play([Schedule()]))))
        self.known = {Schedule()}

    def go(self) -> Explored:
        found = self.explored
        if found.wrong:
            return found
        if self.bounds.faults >= 1:
            self._singles()
        if self.bounds.faults >= 2:
            self._pairs()
        return found

    def _singles(self) -> None:
        calm = self.explored.calm
        queue = self._fresh([*self._other_answers(calm), *(Schedule((f,)) for f in self._faults(calm.spots))])
        room = self.bounds.schedules
        while queue and room > 0:
            batch, rest = queue[:room], queue[room:]
            self.explored.all_singles += len(batch)
            further: list[Schedule] = []
            for played in self.team.play(batch):
                self.explored.singles.append(played)
                further += self._other_answers(played)
                self.progress(len(self.explored.singles), self.explored.all_singles)
            room -= len(batch)
            queue = rest + self._fresh(further)
        self.explored.all_singles += len(queue)

    def _pairs(self) -> None:
        room = self.bounds.schedules - len(self.explored.singles)
        pairs = self._fresh(
            Schedule((*played.schedule.faults, second), played.schedule.answers)
            for played in self.explored.singles
            if played.schedule.faults and not played.unhit and not played.violations
            for second in self._faults(played.spots[played.first_hit :])
        )
        self.explored.all_pairs = len(pairs)
        if len(pairs) > room:
            pairs = sorted(random.Random(self.bounds.seed).sample(pairs, max(0, room)))  # noqa: S311 — no secret
        total = len(self.explored.singles) + len(pairs)
        for played in self.team.play(pairs):
            self.explored.pairs.append(played)
            self.progress(len(self.explored.singles) + len(self.explored.pairs), total)

    def _fresh(self, schedules: Iterable[Schedule]) -> list[Schedule]:
        found = []
        for schedule in schedules:
            if schedule not in self.known:
                self.known.add(schedule)
                found.append(schedule)
        return found

    def _other_answers(self, played: Played) -> Iterator[Schedule]:
        """The same, where people say something else."""
        given = [answer for _, _, answer in played.choices]
        for n in range(len(played.schedule.answers), min(ASKED, len(given))):
            for other in played.choices[n][1]:
                if other != given[n]:
                    yield Schedule(played.schedule.faults, (*given[:n], other))

    def _faults(self, spots: Sequence[Spot]) -> Iterator[Fault]:
        for spot in spots:
            if self.bounds.step.lower() in spot.step.lower():
                yield from (Fault(spot.at, how, spot.step) for how in hows(spot))


def hows(spot: Spot) -> Iterator[How]:
    """What can go wrong there."""
    match spot.kind:
        case "act":
            barred = {How.times_out} if spot.endless else set()
            barred |= {How.late, How.too_late} if spot.at_once else set()
            yield from (how for how in OF_AN_ACT if how not in barred)
        case "look":
            yield from OF_A_LOOK
        case "gate":
            yield from OF_A_GATE
        case _:
            yield from DEATHS
            if spot.at.endswith((" started", " done")):
                yield How.cancelled
