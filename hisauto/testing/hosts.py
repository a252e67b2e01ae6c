"""A host in memory: its state, its receipts, and what can go wrong with it.

It keeps the promises of the real ones (``hisauto.model.transport``): an attempt starts at most once, an older epoch and
a moved place start nothing, and what runs goes on when the connection is gone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hisauto.clock import Clock
from hisauto.errors import Unreachable
from hisauto.model.transport import Completed

Json = Any


@dataclass(frozen=True)
class Fault:
    """What goes wrong with an action at work."""

    rc: int = 0
    effect: bool | None = None
    """Whether it takes place; None: exactly when ``rc`` is 0."""
    takes: float = 0.0
    """Seconds until it ends."""
    late: float = 0.0
    """Seconds after its end until the effect shows. A restart in between loses the effect."""
    lost: Literal["", "unsent", "unstarted", "running", "answer"] = ""
    """The connection fails: with nothing sent; sent, yet not started; while it runs; before the answer is here."""
    away: float = 0.0
    """Seconds that the host can't be reached after that."""
    then: Callable[[Host], None] | None = None
    """What happens to the host once the connection failed or the action ended: ``Host.restart``, ``Host.wipe``, …"""
    no_space: bool = False
    """The host refuses the start."""
    times: int = 1
    """How many calls it hits."""


@dataclass
class Work:
    """An action under its receipt."""

    attempt: str
    values: dict[str, Json]
    rc: int
    ends: float
    shows: float
    """When the effect is there."""
    timeout: float
    effect: bool
    boot: int
    how: Literal["exit", "timeout", "killed"] = "exit"
    ended: bool = False
    died: bool = False
    applied: bool = False


@dataclass
class Folder:
    """The receipts of one run."""

    id: int
    epoch: int = 0
    works: dict[str, Work] = field(default_factory=dict)


class Host:
    """Everything that one host remembers. Thread-safe."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        log: Callable[[str, str, dict[str, Json]], None],
        looked: Callable[[str, str], None],
    ) -> None:
        """``log`` is told host, attempt and values of every action that starts, ``looked`` host and key of a look."""
        self.name, self.clock, self.log, self.looked = name, clock, log, looked
        self.state: dict[str, Json] = {}
        self.silent: set[str] = set()
        """Keys that can't be told: looking at them runs out of time."""
        self.receipts = True
        """Whether it can keep receipts at all."""
        self.boot = 1
        self.mutex = threading.RLock()
        self._away_until = 0.0
        self._folders: dict[str, Folder] = {}
        self._made = 0
        self._works: list[Work] = []
        self._faults: dict[str, list[Fault]] = {}

    # ---- what happens to it
    def fault(self, attempt: str, fault: Fault) -> None:
        """Have an attempt (``1[a]#1``; without ``#n``: every try) go wrong, after what was asked for before."""
        self._faults.setdefault(attempt, []).extend([fault] * fault.times)

    def away(self, seconds: float) -> None:
        """Not to be reached for so long."""
        self._away_until = self.clock.monotonic() + seconds

    def restart(self) -> None:
        """Power off and on: what runs dies without an end, effects on their way are lost, state and receipts stay."""
        with self.mutex:
            self.tick()
            self.boot += 1
            for work in self._works:
                work.died = work.died or not work.ended
                work.applied = True

    def die(self) -> None:
        """Whatever is at work ends without a trace."""
        with self.mutex:
            self.tick()
            for work in self._works:
                work.died = work.died or not work.ended
                work.applied = work.applied or work.died

    def wipe(self) -> None:
        """A cleaner removes all receipts; what is at work goes on."""
        with self.mutex:
            self._folders.clear()

    # ---- what its sessions use
    def reach(self) -> None:
        """Raises ``Unreachable`` while it is away."""
        if self.clock.monotonic() < self._away_until:
            raise Unreachable(f"{self.name}: no answer")
        self.tick()

    @property
    def unhit(self) -> list[str]:
        """Attempts whose fault, or whose last one, never came."""
        return sorted(attempt for attempt, faults in self._faults.items() if faults)

    def next_fault(self, attempt: str) -> Fault:
        """The fault that hits this call."""
        for name in (attempt, attempt.rpartition("#")[0]):
            if self._faults.get(name):
                return self._faults[name].pop(0)
        return Fault()

    def folder(self, run: str) -> Folder:
        """The run's receipts, made when first needed."""
        if run not in self._folders:
            self._made += 1
            self._folders[run] = Folder(self._made)
        return self._folders[run]

    def place(self, run: str) -> str | None:
        return f"{self.name}/{self.boot}/{self.folder(run).id}" if self.receipts else None

    def start(self, attempt: str, values: dict[str, Json], timeout: float, fault: Fault) -> Work:
        """Begin an action; its effect comes when its time has come."""
        now = self.clock.monotonic()
        ends = now + min(fault.takes, timeout)
        effect = fault.rc == 0 if fault.effect is None else fault.effect
        self.log(self.name, attempt, values)
        work = Work(attempt, values, fault.rc, ends, now + fault.takes + fault.late, timeout, effect, self.boot)
        if fault.takes > timeout:
            work.how, work.effect = "timeout", False
        self._works.append(work)
        return work

    def kill(self, work: Work) -> None:
        """End it, provably."""
        if not work.ended:
            work.how, work.ended, work.applied = "killed", True, True

    def tick(self) -> None:
        """Let everything happen whose time has come, in its order."""
        with self.mutex:
            now = self.clock.monotonic()
            for work in sorted(self._works, key=lambda w: w.shows):
                work.ended = work.ended or (not work.died and work.ends <= now)
                if work.shows <= now and not work.applied:
                    work.applied = True
                    if work.effect:
                        self.take_effect(work)

    def take_effect(self, work: Work) -> None:
        self.state |= work.values

    def look(self, key: str) -> Completed:
        self.tick()
        self.looked(self.name, key)
        if key in self.silent:
            return Completed(-1, "timeout")
        return Completed(0, "exit", json.dumps({"value": self.state.get(key), "boot": self.boot}).encode())

    def write(self, values: dict[str, Json]) -> Completed:
        """A canary: it changes something, and keeps no receipt."""
        self.log(self.name, "look", values)
        self.state |= values
        return Completed(0, "exit")
