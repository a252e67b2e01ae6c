"""The tables against the log: what they say of a run has to be what its entries tell.

Rows are not signed; entries are chained, and checkpoints vouch for them. So an edit of a row by hand is found here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hisauto.audit.entry import Entry, parse
from hisauto.audit.report import Code, Finding
from hisauto.clock import stamp
from hisauto.errors import Broken
from hisauto.store.database import Database
from hisauto.store.schema import attempts, audit_entries, decisions, locks, memos, runs
from hisauto.store.told import Key, Opaque, Told
from hisauto.store.values import tells

_KEYS = {"runs": (), "attempts": ("path", "n"), "decisions": ("question", "person"), "memos": ("key",),
         "locks": ("key",)}  # fmt: skip
_TABLES = {table.name: table for table in (attempts, decisions, memos, locks)}
_FREE = {"runs": {"id", "node", "parked", "wanted", "wanted_since"}}
"""Columns that no entry tells: who drives it now, whether anybody has to, what it waits for."""
_SHOWN = 60  # characters of a value in a finding

Rows = dict[str, dict[Key, dict[str, Any]]]


@dataclass(frozen=True)
class Compared:
    """One run."""

    run: str
    findings: tuple[Finding, ...]
    known: bool = True
    """Whether the log that is here tells of it: not when entries of it are in archives, or there by digest alone."""


class Comparison:
    """Of a database that others may write to meanwhile: each run is read as it was at one moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __iter__(self) -> Iterator[Compared]:
        """Run by run, in the order of their ids, with no more than one of them in memory; none of it raises."""
        ids = sa.union(
            sa.select(runs.c.id.label("id")),
            sa.select(audit_entries.c.run).where(audit_entries.c.run.is_not(None)),
        ).order_by("id")
        with self._database.read() as connection:
            found = connection.execute(ids).scalars().all()
        yield from (self._compare(run) for run in found)

    def loose(self) -> Iterator[Finding]:
        """Entries that stand in the table as being of no run, and say otherwise."""
        columns = (audit_entries.c.seq, audit_entries.c.hash, audit_entries.c.run, audit_entries.c.raw)
        with self._database.read() as connection:
            rows: list[sa.Row[Any]] = list(connection.execute(sa.select(*columns).where(audit_entries.c.run.is_(None))))
        for row in rows:
            try:
                _entry(row, None)
            except Broken as error:
                yield Finding(Code.row, str(error), seq=row.seq)

    def _compare(self, run: str) -> Compared:
        with self._database.snapshot() as connection:
            entries, begins = _entries(connection, run)
            try:
                stored = _rows(connection, run)
            except (ValueError, TypeError):  # JSON, or a moment, that is none
                return Compared(run, (Finding(Code.row, f"the rows of run {run} can't be read"),))
        return _judge(run, entries, begins, stored)


def _entries(connection: sa.Connection, run: str) -> tuple[list[sa.Row[Any]], bool]:
    """The run's entries, and whether the log here begins at the first of all."""
    columns = (audit_entries.c.seq, audit_entries.c.hash, audit_entries.c.run, audit_entries.c.raw)
    query = sa.select(*columns).where(audit_entries.c.run == run).order_by(audit_entries.c.seq)
    first = connection.execute(sa.select(sa.func.min(audit_entries.c.seq))).scalar()
    return list(connection.execute(query)), not first


def _rows(connection: sa.Connection, run: str) -> Rows:
    found: Rows = {"runs": {}}
    for row in connection.execute(sa.select(runs).where(runs.c.id == run)):
        found["runs"][()] = _plain(row, "runs")
    for name, table in _TABLES.items():
        of_run = connection.execute(sa.select(table).where(table.c.run == run))
        found[name] = {tuple(getattr(row, key) for key in _KEYS[name]): _plain(row, name) for row in of_run}
    return found


def _plain(row: sa.Row[Any], table: str) -> dict[str, Any]:
    left = {"run", *_KEYS[table], *_FREE.get(table, ())}
    return {
        name: stamp(value) if isinstance(value, datetime) else value
        for name, value in row._mapping.items()
        if name not in left
    }


def _judge(run: str, entries: list[sa.Row[Any]], whole: bool, stored: Rows) -> Compared:
    told = Told()
    for number, row in enumerate(entries):
        try:
            entry = _entry(row, run)
            if number == 0 and entry.kind != "run.requested" and not whole:
                return Compared(run, (), known=False)
            told.take(entry)
        except Opaque:
            return Compared(run, (), known=False)
        except Broken as error:
            return Compared(run, (Finding(Code.row, f"run {run}: {error}", seq=row.seq),))
    if not entries:
        words = f"run {run} is in the table, and the log has nothing of it"
        return Compared(run, (Finding(Code.row, words),) if whole else (), known=whole)
    return Compared(run, tuple(_differences(run, told, stored)))


def _entry(row: sa.Row[Any], run: str | None) -> Entry:
    """Raises ``Broken`` if it can't be read, or the columns beside it say something else."""
    entry = parse(row.raw.encode())
    beside = (row.seq, row.run, row.hash)
    if (entry.seq, entry.run, hashlib.sha256(entry.raw).hexdigest()) != beside or entry.run != run:
        raise Broken("the columns beside the entry, its number, run and hash, are not what the entry says")
    return entry


def _differences(run: str, told: Told, stored: Rows) -> Iterator[Finding]:
    for table, rows in told.rows.items():
        for key in [*rows, *(key for key in stored[table] if key not in rows)]:
            row, seq = f"{table} {_name(table, key)}".strip(), told.seq.get((table, key))
            if key not in stored[table]:
                yield Finding(Code.row, f"run {run}: {row} is in the log, and not in the table", seq=seq)
            elif key not in rows:
                yield Finding(Code.row, f"run {run}: {row} is in the table, and not in the log")
            else:
                for column, kept in stored[table][key].items():
                    if not tells(rows[key].get(column), kept):
                        value, logged = _shown(kept), _shown(rows[key].get(column))
                        words = f"run {run}: {column} in {row} is {value} in the table, and {logged} in the log"
                        yield Finding(Code.row, words, seq=seq)


def _name(table: str, key: Key) -> str:
    return {"attempts": "#"}.get(table, " ").join(str(part) for part in key)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
