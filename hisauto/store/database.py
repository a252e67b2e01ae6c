"""One transaction: what changed, its audit entry and the head of the log, or none of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hisauto.audit.entry import make
from hisauto.audit.merkle import Head
from hisauto.clock import Clock, stamp
from hisauto.errors import Broken, RecordAway
from hisauto.store.schema import END, REVISION, audit_entries, audit_head
from hisauto.store.wal import Wal

# Built once: every write runs them.
_HEAD = sa.select(audit_head.c.head, audit_head.c.revision).where(audit_head.c.id == END)
_HELD_HEAD = _HEAD.with_for_update()
_MOVE_HEAD = audit_head.update().where(audit_head.c.id == END)
_APPEND = audit_entries.insert()
_SERVER_TIME = sa.select(sa.func.clock_timestamp())


class Writing:
    """A transaction that holds the head of the log: no other on this database writes at the same time."""

    def __init__(self, connection: sa.Connection, head: Head, clock: Clock) -> None:
        self.connection = connection
        self.now = clock.now()
        """One moment for all that this transaction writes."""
        self.head = head

    def log(self, kind: str, run: str | None, actor: str, data: Mapping[str, Any]) -> None:
        """Append to the audit log. Raises ``Invalid`` if ``data`` is not JSON."""
        entry = make(self.head, stamp(self.now), kind, run, actor, dict(data))
        self.connection.execute(_APPEND, {"seq": entry.seq, "hash": entry.hash, "run": run, "raw": entry.raw.decode()})
        self.head = self.head.append(entry.raw)


class Database:
    """An engine, and the only two ways to use it."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        # SQLite lets one write at a time and makes the others sleep and try again; waiting here is fair and quick.
        # Reentrant, so that a signer that writes by itself gets SQLite's time-out and not a deadlock.
        self._turn = threading.RLock()
        self._wal = Wal(Path(str(engine.url.database))) if engine.dialect.name == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to look with. Raises ``RecordAway``, ``Broken``."""
        with mapped(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection to which everything stays as it is at its first look. Raises ``RecordAway``, ``Broken``."""
        with mapped(self.engine.url), self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
                yield connection
            else:
                yield connection.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """A transaction, committed and durable after the block. Raises ``RecordAway``, ``Broken``."""
        with self.commit() as writing:
            yield writing
        self.last()

    def last(self) -> None:
        """Return when all that was committed before is durable. Raises ``Broken``."""
        if self._wal is not None:
            self._wal.last()

    @contextmanager
    def commit(self) -> Iterator[Writing]:
        """A transaction, committed after the block: durable after ``last``, or with whatever is written later."""
        with mapped(self.engine.url), self._turn:
            with self._transaction() as writing:
                yield writing
            if self._wal is not None:
                self._wal.written()

    @contextmanager
    def apart(self) -> Iterator[sa.Connection]:
        """A transaction outside of the log's order, which nobody waits for: what it writes may be lost."""
        with mapped(self.engine.url), self.engine.begin() as connection:
            yield connection

    def time(self, connection: sa.Connection) -> datetime:
        """Now, by the clock that everybody at this database shares: the server's, or on SQLite the machine's."""
        if self.engine.dialect.name == "sqlite":
            return self.clock.now()
        found: datetime = connection.execute(_SERVER_TIME).scalar_one()
        return found

    @contextmanager
    def _transaction(self) -> Iterator[Writing]:
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            # On PostgreSQL this row is the lock that puts all writes in one order, as the log needs them.
            head = read_head(connection, lock=True)
            writing = Writing(connection, head, self.clock)
            yield writing
            if writing.head is not head:
                connection.execute(_MOVE_HEAD, {"head": writing.head.to_json()})


def read_head(connection: sa.Connection, *, lock: bool = False) -> Head:
    """Where the log ends. Raises ``Broken``."""
    row = connection.execute(_HELD_HEAD if lock else _HEAD).one_or_none()
    if row is None:
        raise Broken("the head of the audit log is missing", hint="restore the database from a backup")
    if row.revision != REVISION:  # it was migrated while this process had it open
        raise newer(row.revision)
    return Head.from_json(row.head)


def newer(revision: str) -> Broken:
    """The refusal of a schema that this code doesn't know."""
    return Broken(
        f"the database is at revision {revision}, and this version of hisauto knows only up to {REVISION}",
        hint="a newer hisauto has been here: use that, or restore the backup from before the upgrade",
    )


@contextmanager
def mapped(url: sa.URL) -> Iterator[None]:
    """Database errors as ours, without the statement and its parameters."""
    where = f"{url.host or 'localhost'}/{url.database}" if url.get_backend_name() == "postgresql" else url.database
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        if _is_away(error):
            raise RecordAway(
                f"the database {where} can't be used: {_cause(error)}",
                hint="nothing is lost: what is on record stays, and nodes go on when it is back",
            ) from error
        raise Broken(f"the database {where} refused: {_cause(error)}") from error


def _is_away(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether it may be there again later; that the server ended our session is such a case, whatever it calls it."""
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError)


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())
