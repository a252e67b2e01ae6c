"""An orchestrator node: takes runs that want driving, looks at the clock for those that wait, signs the log."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING

from hisauto.clock import Clock
from hisauto.engine.drive import Drive
from hisauto.errors import HisautoError, Superseded
from hisauto.model.journal import Journal, Runs

if TYPE_CHECKING:
    from hisauto.engine.durable import Durable

TICK = 0.1
"""Seconds between two looks for runs that want driving."""
BEAT = 5.0
BROKEN_AGAIN = timedelta(seconds=30)
"""After an error of ours a run is left parked, and tried again."""

log = logging.getLogger("hisauto.node")


class Node:
    """Works on runs until told to stop, or until idle."""

    def __init__(
        self,
        runs: Runs,
        durable: Callable[[Callable[[str], None]], Durable],
        drive: Callable[[Journal], AbstractContextManager[Drive]],
        publish: Callable[[], None],
        clock: Clock,
        *,
        name: str,
        every: float,
    ) -> None:
        """``drive`` opens a drive with its sessions; ``publish`` signs the log, at least every ``every`` seconds."""
        self.runs, self.clock, self.name = runs, clock, name
        self.open_drive, self.publish, self.every = drive, publish, every
        self.durable = durable(self.drive)
        self.stopping = threading.Event()
        self.queued: set[str] = set()
        self.driving: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def drive(self, run: str) -> None:
        """Drive a run until its end or until it waits. One drive of a run at a time on this node."""
        with self.driving[run]:
            try:
                if run not in self.runs.awake():
                    return
                journal = self.runs.claim(run, self.name)
                self._go(run, journal)
                self.publish()
            except Superseded:
                log.info("%s: it has ended, or a newer epoch drives it", run)
            except Exception:
                log.exception("%s: the drive broke off", run)
                self.stopping.wait(1.0)
            finally:
                self.queued.discard(run)

    def _go(self, run: str, journal: Journal) -> None:
        try:
            with self.open_drive(journal) as drive:
                drive.go()
        except Superseded:
            raise
        except Exception as e:
            log.exception("%s: the drive broke off", run)
            why = str(e) if isinstance(e, HisautoError) else f"{type(e).__name__}: {e}; the node's log has more"
            question = {"kind": "broken", "id": "broken", "why": why}
            journal.park(journal.view().state, question, self.clock.now() + BROKEN_AGAIN, journal.inbox())

    def work(self, *, idle: float | None = None) -> None:
        """Until SIGTERM or SIGINT; with ``idle``, until there has been no open run for so many seconds."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, lambda *_: self.stopping.set())
        self.durable.start()
        host, now = socket.gethostname(), self.clock.monotonic()
        beaten = published = -1e9
        busy = now
        while not self.stopping.is_set():
            now = self.clock.monotonic()
            try:
                if now - beaten >= BEAT:
                    self.runs.beat(self.name, host, os.getpid())
                    beaten = now
                if now - published >= self.every:
                    self.publish()
                    published = now
                self.runs.wake_due(self.clock.now())
                for run in self.runs.awake():
                    self._enqueue(run)
                if idle is not None and now - busy >= idle:
                    if not self.runs.open():
                        break
                    busy = now
            except HisautoError as e:
                log.error("%s", e)
                self.stopping.wait(1.0)
            self.stopping.wait(TICK)
        self.publish()
        self.durable.stop()

    def _enqueue(self, run: str) -> None:
        if run not in self.queued:
            self.queued.add(run)
            self.durable.enqueue(run)
