"""An orchestrator node: takes runs that want driving, looks at the clock for those that wait, signs the log.

Several share one database. A run is driven by the node that claimed it, until it waits, has ended, or that node is
dead; a claim names the epoch that was seen, so that of two who take it one does. A frozen node that was taken for dead
can do no harm: its epoch is an older one.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta

from hisauto.clock import Clock
from hisauto.engine.drive import Drive
from hisauto.engine.liveness import BEAT, Watch
from hisauto.errors import HisautoError, RecordAway, Superseded
from hisauto.model.journal import Claimed, Journal, Runs

TICK = 0.1
"""Seconds between two looks for runs that want driving."""
DRIVES = 200
"""Runs driven side by side on one node."""
AT_ONCE = 8
"""Runs that a node takes in one look: the others have a share in what comes at once."""
LEAVE = 1.5
"""Seconds after which a node that was told to end does so, whatever keeps it."""
BROKEN_AGAIN = timedelta(seconds=30)
"""After an error of ours a run is left parked, and tried again."""

log = logging.getLogger("hisauto.node")


class Node:
    """Works on runs until told to stop, or until idle."""

    def __init__(
        self,
        runs: Runs,
        drive: Callable[[Journal], AbstractContextManager[Drive]],
        publish: Callable[[], None],
        clock: Clock,
        *,
        name: str,
        every: float,
    ) -> None:
        """``drive`` opens a drive with its sessions; ``publish`` signs the log, at least every ``every`` seconds.

        ``name``: of this process alone, among all that work or have worked on this database.
        """
        self.runs, self.clock, self.name = runs, clock, name
        self.open_drive, self.publish, self.every = drive, publish, every
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(DRIVES, thread_name_prefix="drive")
        self.driving: set[str] = set()
        self.watch = Watch(clock)
        self._away = False
        self._host = socket.gethostname()

    # ---------------------------------------------------------------- one run
    def drive(self, run: str, epoch: int) -> None:
        """Drive a run until its end or until it waits, unless somebody has claimed it since this epoch."""
        try:
            self._go(run, self.runs.claim(run, self.name, epoch=epoch))
            self.publish()
        except Superseded as e:
            log.info("%s: %s", run, e)
        except RecordAway as e:
            log.warning("%s: the drive broke off, and goes on when the record is back: %s", run, e)
            self.stopping.wait(1.0)
        except Exception:
            log.exception("%s: the drive broke off", run)
            self.stopping.wait(1.0)
        finally:
            self.driving.discard(run)

    def _go(self, run: str, journal: Journal) -> None:
        try:
            with self.open_drive(journal) as drive:
                drive.go()
        except (Superseded, RecordAway):
            raise
        except Exception as e:
            log.error("%s: the drive broke off\n%s", run, journal.redactor.text(traceback.format_exc()))
            why = str(e) if isinstance(e, HisautoError) else f"{type(e).__name__}: {e}; the node's log has more"
            question = {"kind": "broken", "id": "broken", "why": why}
            journal.park(journal.view().state, question, self.clock.now() + BROKEN_AGAIN, journal.inbox())

    # ---------------------------------------------------------------- all of them
    def work(self, *, idle: float | None = None) -> None:
        """Until SIGTERM or SIGINT; with ``idle``, until there has been no open run for so many seconds.

        Drives in progress are left where they are: the process has to end now.
        """
        self._listen()
        self.runs.beat(self.name, self._host, os.getpid())
        threading.Thread(target=self._live, name="beat", daemon=True).start()
        busy, published = self.clock.monotonic(), -self.every
        while not self.stopping.is_set():
            now = self.clock.monotonic()
            try:
                if now - published >= self.every:
                    self.publish()
                    published = now
                self._look()
                if idle is not None and now - busy >= idle:
                    if not self.runs.open():
                        break
                    busy = now
            except HisautoError as e:
                self._lost(e)
            self.stopping.wait(TICK)
        self.stopping.set()
        try:
            self.publish()
            self.runs.leave(self.name)
        except HisautoError as e:
            log.error("it leaves without a word on record: %s", e)

    def _listen(self) -> None:
        """Have SIGTERM and SIGINT end this process, whatever it is at.

        By a pipe: a handler runs in the midst of whatever it interrupts, and one that sets an Event which the same
        thread is waiting for stops for ever.
        """
        heard, bell = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(bell, False)
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, lambda *_: None)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        threading.Thread(target=self._leave, args=(heard,), name="end", daemon=True).start()

    def _leave(self, heard: int) -> None:
        while not {signal.SIGTERM, signal.SIGINT} & set(os.read(heard, 64)):
            pass
        self.stopping.set()
        self.clock.sleep(LEAVE)
        os._exit(0)

    def _look(self) -> None:
        """Take what wants driving and nobody who lives drives."""
        busy = set(self.driving)  # before the look: what parks in between is not awake any more
        self.runs.wake_due(self.clock.now())
        awake = self.runs.awake()
        if self._away:
            log.info("the record is back")
            self._away = False
        dead = self.watch.dead({c.node: c.beats for c in awake.values() if c.node is not None and c.beats is not None})
        free = [run for run, claimed in awake.items() if run not in busy and self._is_free(claimed, dead)]
        for run in free[: min(AT_ONCE, DRIVES - len(self.driving))]:
            if awake[run].node not in (None, self.name):
                log.warning("%s: taken over from %s, which is gone", run, awake[run].node)
            self.driving.add(run)
            self.pool.submit(self.drive, run, awake[run].epoch)

    def _is_free(self, claimed: Claimed, dead: set[str]) -> bool:
        return claimed.node in (None, self.name) or claimed.beats is None or claimed.node in dead

    def _lost(self, error: HisautoError) -> None:
        """The record can't be used; said once, and tried again."""
        if not self._away:
            log.error("%s; it is tried again until it is back", error)
        self._away = True
        self.watch.forget()
        self.stopping.wait(1.0)

    def _live(self) -> None:
        """Beat, apart from all that a look may be kept by."""
        while not self.stopping.wait(BEAT):
            try:
                self.runs.beat(self.name, self._host, os.getpid())
            except HisautoError as e:
                log.debug("no beat: %s", e)  # whoever looks says so
