"""The audit log as it lies in the database: reading it, and putting signed checkpoints over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from hisauto.audit.entry import Entry, from_json
from hisauto.audit.merkle import Head
from hisauto.clock import stamp
from hisauto.errors import Broken
from hisauto.store.database import Database, read_head
from hisauto.store.rows import StoredCheckpoint
from hisauto.store.schema import audit_entries, checkpoints

Signer = Callable[[Head, str], str]
"""Signs a head at a moment (RFC 3339): a checkpoint's text."""
_PAGE = 1000


class AuditLog:
    """Append-only; entries are written by whoever changes something, in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> Head:
        with self._database.read() as connection:
            return read_head(connection)

    def entries(self, from_seq: int = 0, run: str | None = None) -> Iterator[Entry]:
        """In order. Raises ``Broken`` at an entry that can't be read."""
        for raw in self.raw_entries(from_seq, run):
            yield _parse(raw)

    def raw_entries(self, from_seq: int = 0, run: str | None = None) -> Iterator[bytes]:
        """As they are stored, to be verified; page by page: no transaction is held open while they are read."""
        query = sa.select(audit_entries.c.seq, audit_entries.c.raw).order_by(audit_entries.c.seq).limit(_PAGE)
        if run is not None:
            query = query.where(audit_entries.c.run == run)
        while True:
            with self._database.read() as connection:
                page = connection.execute(query.where(audit_entries.c.seq >= from_seq)).all()
            for row in page:
                yield row.raw.encode()
            if len(page) < _PAGE:
                return
            from_seq = page[-1].seq + 1

    def checkpoint(self, signer: Signer) -> str | None:
        """Sign the log as it is now and keep that. None: the newest checkpoint covers it already."""
        with self._database.write() as writing:
            newest = writing.connection.execute(sa.select(sa.func.max(checkpoints.c.size))).scalar() or 0
            if writing.head.size <= newest:
                return None
            text = signer(writing.head, stamp(writing.now))
            values = {"size": writing.head.size, "text": text, "at": writing.now}
            writing.connection.execute(checkpoints.insert().values(values))
            return text

    def checkpoints(self, *, unpublished: bool = False) -> list[StoredCheckpoint]:
        """The smallest first."""
        columns = (checkpoints.c.size, checkpoints.c.text, checkpoints.c.at, checkpoints.c.published_at)
        query = sa.select(*columns).order_by(checkpoints.c.size)
        if unpublished:
            query = query.where(checkpoints.c.published_at.is_(None))
        with self._database.read() as connection:
            return [StoredCheckpoint(*row) for row in connection.execute(query)]

    def mark_published(self, size: int) -> None:
        """The checkpoint over ``size`` entries has reached the second place. The first time counts."""
        which = (checkpoints.c.size == size) & checkpoints.c.published_at.is_(None)
        with self._database.write() as writing:
            writing.connection.execute(checkpoints.update().where(which).values(published_at=writing.now))


def _parse(raw: bytes) -> Entry:
    try:
        return from_json(json.loads(raw))
    except (ValueError, Broken) as error:
        raise Broken(f"an entry of the audit log is damaged: {error}", hint="hisauto audit verify") from error
