"""Runs to try the store with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hisauto.audit.entry import Entry
from hisauto.audit.verify import verify_entries
from hisauto.model.run import Decision, RunState
from hisauto.store.journal import StoreJournal
from hisauto.store.rows import Submission
from hisauto.store.schema import metadata
from hisauto.store.store import Store

START = datetime(2026, 11, 23, 3, 0, 0, 123456, tzinfo=UTC)


class HeldClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def decision(person: str = "dba-1", question: str = "gate-1", answer: str = "yes", **more: Any) -> Decision:
    card = {"what": "approve", "gate": question, "answer": answer, "facts": [{"name": "lag", "value": 0.5}]}
    fields: dict[str, Any] = {"reason": "", "signature": "-----BEGIN SSH SIGNATURE-----", "break_glass": False}
    return Decision(question, person, answer, **{**fields, "card": card, "at": START, **more})


def submission(run: str, **more: Any) -> Submission:
    fields: dict[str, Any] = {
        "runbook": "database-failover",
        "version": "1.0.0",
        "source_digest": "sha256:one",
        "digest": "sha256:plan",
        "plan": {"steps": [{"name": "promote"}]},
        "request": decision("duty-1", "run", "yes", reason="primary is dark"),
        "reported_at": START,
        "incident": "INC-7",
        "level": 1,
    }
    return Submission(run, **{**fields, **more})


def requested(store: Store, **more: Any) -> str:
    """A run that is on record and queued."""
    return store.submit(submission(store.fresh_id(), **more)).id


def driven(store: Store, *, state: RunState = RunState.running) -> StoreJournal:
    """A run that is claimed and has come as far as ``state``."""
    journal = store.claim(requested(store), "node-a")
    for step in (RunState.locking, RunState.guarding, RunState.running):
        if journal.view().state != state:
            journal.move(step)
    assert journal.view().state == state
    return journal


def rows(store: Store) -> dict[str, list[Any]]:
    """All that is stored."""
    with store.engine.connect() as connection:
        return {
            name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
        }


def log(store: Store, run: str | None = None) -> list[Entry]:
    """The audit log, which is whole: chain, order, and the head that is kept beside it."""
    report = verify_entries(store.raw_entries(), [], [])
    assert report.findings == ()
    every = list(store.entries())
    head = store.head()
    assert head.size == len(every)
    assert head.last == (every[-1].hash if every else head.last)
    assert against(store) == []
    return [entry for entry in every if run in (None, entry.run)]


def against(store: Store) -> list[str]:
    """What the tables say otherwise than the log."""
    comparison = store.compared()
    return [str(found) for found in [*comparison.loose(), *(found for one in comparison for found in one.findings)]]


def kinds(store: Store, run: str | None = None) -> list[str]:
    return [entry.kind for entry in log(store, run)]
