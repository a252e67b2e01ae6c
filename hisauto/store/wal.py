"""SQLite's write-ahead log on its way to the disk: one sync for all that committed before it.

SQLite's own ``synchronous=FULL`` syncs inside each commit, one writer after another. Here a commit writes, and whoever
has to know that it lasts waits for the next sync of the whole file, which everybody shares. Nothing is weaker for it:
the file is in the order of the commits, so that what lasts includes all that it was decided by.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from hisauto.errors import Broken


class Wal:
    """The log beside one database file. Thread-safe."""

    def __init__(self, database: Path) -> None:
        self._path = database.absolute().with_name(f"{database.name}-wal")
        self._changed = threading.Condition()
        self._written = 0
        """Commits so far."""
        self._synced = 0
        """How many of them are known to be on the disk."""
        self._syncing = False
        self._failed: OSError | None = None

    def written(self) -> None:
        """A transaction was committed."""
        with self._changed:
            self._written += 1

    def last(self) -> None:
        """Return when all that was committed before the call is on the disk.

        Raises ``Broken``, from then on always, when the disk refused: nobody knows what it has dropped.
        """
        with self._changed:
            mine = self._written
            while self._synced < mine and self._failed is None:
                if self._syncing:
                    self._changed.wait()
                else:
                    self._sync()
            if self._failed is not None:
                raise Broken(
                    f"{self._path} can't be made to last: {self._failed.strerror}",
                    hint="look at the disk; then start the node again: it goes on from what is on record",
                ) from self._failed

    def _sync(self) -> None:
        """One sync, with the lock let go of meanwhile."""
        reached, self._syncing = self._written, True
        self._changed.release()
        try:
            _sync_file(self._path)
        except OSError as e:
            self._failed = e
        else:
            self._synced = reached
        finally:
            self._changed.acquire()
            self._syncing = False
            self._changed.notify_all()


def _sync_file(path: Path) -> None:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # SQLite has moved all of it into the database, and synced that, when the last connection was closed
    try:
        os.fsync(file)
    finally:
        os.close(file)
