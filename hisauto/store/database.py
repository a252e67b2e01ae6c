"""One transaction: what changed, its audit entry and the head of the log, or none of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from hisauto.audit.entry import make
from hisauto.audit.merkle import Head
from hisauto.clock import Clock, stamp
from hisauto.errors import Broken, Unreachable
from hisauto.store.schema import audit_entries, audit_head


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
        self.connection.execute(
            audit_entries.insert().values(seq=entry.seq, hash=entry.hash, run=run, raw=entry.raw.decode())
        )
        self.head = self.head.append(entry.raw)


class Database:
    """An engine, and the only two ways to use it."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        # SQLite lets one write at a time and makes the others sleep and try again; waiting here is fair and quick.
        # Reentrant, so that a signer that writes by itself gets SQLite's time-out and not a deadlock.
        self._turn = threading.RLock()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to look with. Raises ``Unreachable``, ``Broken``."""
        with mapped(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """A transaction, committed and durable after the block. Raises ``Unreachable``, ``Broken``."""
        with mapped(self.engine.url), self._turn, self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            # On PostgreSQL this row is the lock that puts all writes in one order, as the log needs them.
            head = read_head(connection, lock=True)
            writing = Writing(connection, head, self.clock)
            yield writing
            if writing.head is not head:
                connection.execute(audit_head.update().values(head=writing.head.to_json()))


def read_head(connection: sa.Connection, *, lock: bool = False) -> Head:
    """Where the log ends. Raises ``Broken``."""
    query = sa.select(audit_head.c.head)
    stored = connection.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if stored is None:
        raise Broken("the head of the audit log is missing", hint="restore the database from a backup")
    return Head.from_json(stored)


@contextmanager
def mapped(url: sa.URL) -> Iterator[None]:
    """Database errors as ours, without the statement and its parameters."""
    where = f"{url.host or 'localhost'}/{url.database}" if url.get_backend_name() == "postgresql" else url.database
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise Unreachable(f"the database {where} can't be used: {_cause(error)}") from error
    except sa.exc.SQLAlchemyError as error:
        raise Broken(f"the database {where} refused: {_cause(error)}") from error


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())
