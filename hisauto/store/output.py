"""Live output on its way to the database, gathered: a write for every line would cost a sync of the disk each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from hisauto.errors import HisautoError
from hisauto.store.schema import outputs

OUTPUT_LIMIT = 256 * 1024
"""Characters of live output that are kept of one attempt."""
OUTPUT_MARK = "\n[further output is not kept]\n"
GATHER_FOR = 0.3
"""Seconds that a piece waits at most for others, while the database takes writes."""
GATHER_UP_TO = 16 * 1024
"""Characters that wait at most."""


class Gathered:
    """Pieces of one run that are not written yet. Whoever calls it holds the journal's lock."""

    def __init__(self, connection: sa.Connection, run: str, lock: threading.RLock, write: Callable[[], None]) -> None:
        """``write`` is called, holding ``lock``, after ``GATHER_FOR``; it comes back with ``save`` and ``saved``."""
        self._run = run
        self._lock = lock
        self._write = write
        self._waiting: list[tuple[str, str, str]] = []
        self._size = 0
        self._timer: threading.Timer | None = None
        said = connection.execute(
            sa.select(outputs.c.attempt, sa.func.max(outputs.c.seq), sa.func.sum(sa.func.length(outputs.c.text)))
            .where(outputs.c.run == run)
            .group_by(outputs.c.attempt)
        ).all()
        self._said = {attempt: int(length) for attempt, _, length in said}
        self._last = max((last for _, last, _ in said), default=0)

    def add(self, attempt: str, stream: str, text: str) -> bool:
        """Take a piece, cut at the limit. True: enough has gathered to be written now."""
        said = self._said.get(attempt, 0)
        if said >= OUTPUT_LIMIT or not text:
            return False
        kept = text[: OUTPUT_LIMIT - said] + (OUTPUT_MARK if said + len(text) > OUTPUT_LIMIT else "")
        # PostgreSQL can't hold NUL in a text, and neither database half of a surrogate pair.
        kept = kept.replace("\0", "\ufffd").encode(errors="replace").decode()
        self._said[attempt] = said + len(kept)
        self._waiting.append((attempt, stream, kept))
        self._size += len(kept)
        if self._timer is None:
            self._timer = threading.Timer(GATHER_FOR, self._late)
            self._timer.daemon = True
            self._timer.start()
        return self._size >= GATHER_UP_TO

    def save(self, connection: sa.Connection) -> int:
        """Write what waits, and return how many rows that took: pieces that follow each other in a stream share one."""
        together = groupby(self._waiting, key=itemgetter(0, 1))
        rows = [
            {"run": self._run, "seq": seq, "attempt": attempt, "stream": stream, "text": "".join(p[2] for p in pieces)}
            for seq, ((attempt, stream), pieces) in enumerate(together, self._last + 1)
        ]
        if rows:
            connection.execute(outputs.insert(), rows)
        return len(rows)

    def saved(self, rows: int) -> None:
        """What ``save`` wrote is committed."""
        self._last += rows
        self._waiting.clear()
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        with self._lock:
            self._timer = None
            if self._waiting:
                # What can't be written goes on waiting; the driver hears of the cause at its own next write.
                with suppress(HisautoError):
                    self._write()
