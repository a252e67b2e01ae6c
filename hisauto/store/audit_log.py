"""The audit log as it lies in the database: reading it, and putting signed checkpoints over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from hisauto.audit.entry import Entry, from_json
from hisauto.audit.merkle import Head
from hisauto.clock import stamp
from hisauto.errors import Broken, Refused
from hisauto.store.database import Database, read_head
from hisauto.store.rows import Published, StoredCheckpoint
from hisauto.store.schema import START, audit_entries, audit_head, checkpoints, publications, runs

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

    def bounds(self) -> tuple[Head, Head]:
        """Where the entries that are still here begin, and where the log ends."""
        with self._database.read() as connection:
            return _read_start(connection), read_head(connection)

    def entries(self, from_seq: int = 0, run: str | None = None) -> Iterator[Entry]:
        """In order. Raises ``Broken`` at an entry that can't be read."""
        for raw in self.raw_entries(from_seq, run):
            yield _parse(raw)

    def entries_of(self, kind: str) -> Iterator[Entry]:
        """Those of one kind, in order. Raises ``Broken`` at one that can't be read."""
        about = audit_entries.c.raw.contains(json.dumps({"kind": kind}, separators=(",", ":"))[1:-1], autoescape=True)
        with self._database.read() as connection:
            found = connection.execute(sa.select(audit_entries.c.raw).where(about).order_by(audit_entries.c.seq)).all()
        for row in found:
            if (entry := _parse(row.raw.encode())).kind == kind:
                yield entry

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

    def checkpoints(self) -> list[StoredCheckpoint]:
        """The smallest first."""
        query = sa.select(checkpoints.c.size, checkpoints.c.text, checkpoints.c.at).order_by(checkpoints.c.size)
        with self._database.read() as connection:
            return [StoredCheckpoint(*row) for row in connection.execute(query)]

    # ---- what of it is in an archive

    def first_of_open_runs(self) -> int | None:
        """The first entry here that is of a run which has not ended; None: there is no such run."""
        open_runs = sa.select(runs.c.id).where(runs.c.ended_at.is_(None))
        query = sa.select(sa.func.min(audit_entries.c.seq)).where(audit_entries.c.run.in_(open_runs))
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def forget(self, start: Head, end: Head, actor: str, data: Mapping[str, Any]) -> None:
        """Take the entries between the two out of the database, and put that on record as ``log.archived``.

        The checkpoints before ``end`` go with them. Raises ``Refused`` if the entries no longer begin at ``start``.
        """
        with self._database.write() as writing:
            connection = writing.connection
            if _read_start(connection) != start:
                raise Refused("somebody else has archived these entries meanwhile")
            connection.execute(audit_entries.delete().where(audit_entries.c.seq < end.size))
            connection.execute(checkpoints.delete().where(checkpoints.c.size < end.size))
            connection.execute(audit_head.delete().where(audit_head.c.id == START))
            connection.execute(audit_head.insert().values(id=START, head=end.to_json()))
            writing.log("log.archived", None, actor, data)

    # ---- what of it is at another place

    def unpublished(self, place: str, limit: int) -> list[tuple[int, str]]:
        """Size and text of checkpoints that are not known to have reached the place, the smallest first."""
        table = publications
        there = sa.select(table.c.size).where(table.c.place == place).scalar_subquery()
        query = sa.select(checkpoints.c.size, checkpoints.c.text).order_by(checkpoints.c.size).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query.where(checkpoints.c.size > sa.func.coalesce(there, 0)))
            return [(row.size, row.text) for row in rows]

    def published(self, place: str) -> Published:
        """What is known of a place."""
        with self._database.read() as connection:
            return _publication(connection, place)

    def mark_published(self, place: str, size: int) -> None:
        """The place has all checkpoints up to that over ``size`` entries. One that had more keeps it."""
        with self._database.write() as writing:
            before = _publication(writing.connection, place)
            _keep_publication(writing.connection, place, Published(max(size, before.size), writing.now))

    def mark_unpublished(self, place: str, why: str) -> None:
        """A try to publish there has failed."""
        before = self.published(place)
        if before.failing_since is not None and before.why == why:
            return  # nothing new, and it is tried again and again
        with self._database.write() as writing:
            before = _publication(writing.connection, place)
            since = before.failing_since or writing.now
            _keep_publication(writing.connection, place, replace(before, failing_since=since, why=why))


def _read_start(connection: sa.Connection) -> Head:
    stored = connection.execute(sa.select(audit_head.c.head).where(audit_head.c.id == START)).scalar()
    return Head() if stored is None else Head.from_json(stored)


def _publication(connection: sa.Connection, place: str) -> Published:
    table = publications
    query = sa.select(table.c.size, table.c.at, table.c.failing_since, table.c.why).where(table.c.place == place)
    row = connection.execute(query).first()
    return Published(*row) if row is not None else Published()


def _keep_publication(connection: sa.Connection, place: str, known: Published) -> None:
    connection.execute(publications.delete().where(publications.c.place == place))
    connection.execute(publications.insert().values(place=place, **vars(known)))


def _parse(raw: bytes) -> Entry:
    try:
        return from_json(json.loads(raw))
    except (ValueError, Broken) as error:
        raise Broken(f"an entry of the audit log is damaged: {error}", hint="hisauto audit verify") from error
