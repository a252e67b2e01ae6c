"""A session to a host in memory: what ``hisauto.transports`` gives to a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hisauto.clock import Clock
from hisauto.errors import Unreachable
from hisauto.model.transport import Completed, Fate, Lost, OnOutput, Receipt, Script
from hisauto.testing.hosts import Fault, Host, Work

STEP = 0.1
"""Seconds between two looks at something that is at work."""


class MemorySession:
    """``hisauto.model.transport.Session`` of one run to one host."""

    def __init__(self, host: Host, run: str, clock: Clock) -> None:
        self.host, self.run, self.clock = host, run, clock

    def place(self, become: str | None = None) -> str | None:
        with self.host.mutex:
            self.host.reach()
            return self.host.place(self.run)

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        with self.host.mutex:
            self.host.reach()
            asked = json.loads(script.text)
            return self.host.write(asked["set"]) if "set" in asked else self.host.look(asked["look"])

    def act(
        self,
        attempt: str,
        epoch: int,
        script: Script,
        place: str | None,
        *,
        on_output: OnOutput | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Receipt:
        fault, work, said = self._begin(attempt, epoch, script, place)
        if said is not None:
            return said
        if work is not None and fault.lost != "running":
            self._wait(work, work.ends, cancelled)
        self._fail(fault)  # without the mutex: what happens then may drive other runs
        if fault.lost == "unsent":
            raise Unreachable(f"{self.host.name}: no answer")
        if fault.lost or work is None:
            raise Lost(f"{self.host.name}: the connection broke")
        with self.host.mutex:
            return self._said(work)

    def _begin(
        self, attempt: str, epoch: int, script: Script, place: str | None
    ) -> tuple[Fault, Work | None, Receipt | None]:
        """What goes wrong, what has started, and the host's answer where nothing has to be waited for."""
        with self.host.mutex:
            self.host.reach()
            folder = self.host.folder(self.run)
            if place is not None and epoch < folder.epoch:  # before the fault: that waits for whoever may act
                return Fault(), None, Receipt(Fate.refused)
            fault = self.host.next_fault(attempt)
            if fault.lost == "unsent":
                return fault, None, None
            if place is not None and (no := self._barred(epoch, place)):
                return fault, None, no
            if place is not None and attempt in folder.works:
                return fault, None, self._said(folder.works[attempt])
            if fault.no_space:
                return fault, None, Receipt(Fate.no_space)
            if fault.lost == "unstarted":
                return fault, None, None
            values: dict[str, Any] = json.loads(script.text)["set"]
            work = self.host.start(attempt, values, script.timeout, fault)
            folder.works[attempt if place is not None else f"{attempt} {len(folder.works)}"] = work
            return fault, work, None

    def settle(
        self,
        attempt: str,
        epoch: int,
        place: str | None,
        *,
        become: str | None = None,
        wait: float = 0.0,
        kill: bool = False,
        on_output: OnOutput | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Receipt:
        if place is None:
            return Receipt(Fate.no_receipts, why="it was run without a receipt")
        with self.host.mutex:
            self.host.reach()
            folder = self.host.folder(self.run)
            if epoch < folder.epoch:
                return Receipt(Fate.refused)
            folder.epoch = epoch
            work = folder.works.get(attempt)
            if work is None:
                return Receipt(Fate.none if place == self.host.place(self.run) else Fate.moved)
            if kill:
                self.host.kill(work)
        self._wait(work, min(work.ends, self.clock.monotonic() + wait), cancelled)
        with self.host.mutex:
            return self._said(work)

    def forget(self, epoch: int) -> None:
        with self.host.mutex:
            folder = self.host.folder(self.run)
            if epoch >= folder.epoch:
                folder.works.clear()

    def close(self) -> None:
        return

    def _barred(self, epoch: int, place: str) -> Receipt | None:
        folder = self.host.folder(self.run)
        if epoch < folder.epoch:
            return Receipt(Fate.refused)
        folder.epoch = epoch
        return Receipt(Fate.moved) if place != self.host.place(self.run) else None

    def _wait(self, work: Work, until: float, cancelled: Callable[[], bool] | None) -> None:
        while not (work.ended or work.died):
            if cancelled is not None and cancelled():
                with self.host.mutex:
                    self.host.kill(work)
            elif self.clock.monotonic() >= until:
                break
            else:
                self.clock.sleep(self._pause(until - self.clock.monotonic()))
            self._tick()
        self._tick()

    def _pause(self, left: float) -> float:
        """Seconds until the next look at work that may go on for so many."""
        return min(STEP, left)

    def _tick(self) -> None:
        self.host.tick()

    def _said(self, work: Work) -> Receipt:
        if work.died:
            return Receipt(Fate.died)
        if not work.ended:
            return Receipt(Fate.running)
        done = Completed(work.rc if work.how == "exit" else -1, work.how)
        return Receipt(Fate.finished, done, same_boot=work.boot == self.host.boot)

    def _fail(self, fault: Fault) -> None:
        if fault.away:
            self.host.away(fault.away)
        if fault.then is not None:
            fault.then(self.host)
