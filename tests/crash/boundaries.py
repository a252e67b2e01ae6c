"""Where a node can die: before and after whatever goes out of it. Found by construction, and counted.

Nothing here knows the engine. Every commit goes through the database's dialect, every file that has to last through
``os.fsync``; every way to a host is a call of a session, and what a session calls back while its action is at work is a
call, too. What is new in any of them is a boundary from its first day.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from hisauto.model.transport import Session
from hisauto.store import wal
from hisauto.testing.world import RunWorld

HOUSE = f"{os.sep}hisauto{os.sep}"
PLUMBING = ("store/database.py", "store/wal.py", "testing/")
"""Where a boundary is, and not what it is of."""


@dataclass
class Boundaries:
    """Those of one process, in the order in which it comes to them, from 1."""

    told: Path
    """Where they are written down, line by line, before anything happens there."""
    at: int = 0
    """The one at which it gets the signal; 0: none."""
    signal: int = 0
    count: int = 0
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def cross(self, what: str) -> None:
        """Come to a boundary. Returns unless it is the deadly one, or when the process goes on after it."""
        if not (of := _where()):
            return
        with self._mutex:
            self.count += 1
            here = self.count == self.at
            with self.told.open("a") as file:
                file.write(json.dumps(f"{what}: {of}") + "\n")
        if here:
            os.kill(os.getpid(), self.signal)

    def around(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function between two boundaries, and with some around whatever it calls back."""

        def crossed(*args: Any, **more: Any) -> Any:
            of = f"{what} {args[0]}" if args and isinstance(args[0], str) else what
            backs = {name: self.around(f"{of}, {name}", value) for name, value in more.items() if callable(value)}
            self.cross(f"before {of}")
            try:
                return function(*args, **{**more, **backs})
            finally:
                self.cross(f"after {of}")

        return crossed

    def in_database(self, engine: sa.Engine) -> None:
        """Every commit through this engine, whoever makes it.

        The sync after it matters to a power cut; what the kernel has outlives the process, so nothing is synced here.
        """
        engine.dialect.do_commit = self.around("commit", engine.dialect.do_commit)  # type: ignore[method-assign]
        wal._sync_file = lambda path: None

    def on_disk(self) -> None:
        """Every sync of a file in this process: a checkpoint that is published, say."""
        os.fsync = self.around("sync", lambda _: None)

    def on_hosts(self, world: RunWorld) -> None:
        """Every call of every session of this world."""
        session = world.session
        world.session = lambda host: self.session(session(host), host)  # type: ignore[method-assign]

    def session(self, session: Session, host: str | None) -> Session:
        """The same session, each call of it between two boundaries."""
        return cast(Session, _Crossed(session, host or "node", self))


class _Crossed:
    """Whatever a session has."""

    def __init__(self, session: Session, host: str, boundaries: Boundaries) -> None:
        self._session, self._host, self._boundaries = session, host, boundaries

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        return self._boundaries.around(f"{self._host}.{name}", found) if callable(found) else found


def _where() -> str:
    """The two innermost functions of ours, by their public names, that this is of. Empty: of none."""
    frame, found = sys._getframe(2).f_back, list[str]()
    while frame is not None and len(found) < 2:
        _, house, path = frame.f_code.co_filename.rpartition(HOUSE)
        if house and not path.startswith(PLUMBING) and not frame.f_code.co_name.startswith(("_", "<")):
            found.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return " in ".join(found)
