"""Between rows and the nouns of ``model``, and the few records that only the store has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hisauto.model.run import Attempt, AttemptState, Decision, RunState, RunView
from hisauto.store.schema import runs

VIEW = tuple(
    runs.c[name]
    for name in (
        "id", "runbook", "version", "state", "digest", "requester", "reason", "incident", "level", "epoch", "question",
        "wake_at", "created_at", "reported_at", "ended_at", "summary",
    )
)  # fmt: skip
"""The columns of a ``RunView``: without the plan, which is large."""


@dataclass(frozen=True)
class Submission:
    """A run to be: what was planned, and the signed word that asks for it."""

    id: str
    """From ``Store.fresh_id``, before it was signed."""
    runbook: str
    version: str
    source_digest: str
    """Of the runbook's content; what ``version`` has to keep."""
    digest: str
    """Of the plan."""
    plan: Mapping[str, Any]
    request: Decision
    reported_at: datetime
    incident: str | None = None
    level: int | None = None
    blobs: Sequence[bytes] = ()
    """Files that the plan pins by SHA-256."""
    parts: Sequence[tuple[str, str, str]] = ()
    """Name, version and content's digest of the runbooks in the plan."""


@dataclass(frozen=True)
class Output:
    """A piece of live output."""

    seq: int
    """Within the run, from 1."""
    attempt: str
    stream: str
    text: str


@dataclass(frozen=True)
class Waiter:
    """A run that waits for locks."""

    run: str
    since: datetime


@dataclass(frozen=True)
class Lock:
    """A key that a run holds."""

    key: str
    run: str
    since: datetime
    node: str | None
    """Which drives that run; None: it is parked, or was never claimed again."""
    waiting: tuple[Waiter, ...] = ()
    """The runs that want it, too, who has waited longest first."""


@dataclass(frozen=True)
class Node:
    """An orchestrator process, as it last said of itself."""

    id: str
    host: str
    pid: int
    started: datetime
    seen: datetime
    silent: float
    """Seconds since then."""
    drives: tuple[str, ...]
    """The runs that it has claimed and not let go of."""


@dataclass(frozen=True)
class StoredCheckpoint:
    """A signed note over the first ``size`` entries."""

    size: int
    text: str
    at: datetime


@dataclass(frozen=True)
class Published:
    """What is known of one place where checkpoints are published."""

    size: int = 0
    """The newest checkpoint that is there covers so many entries."""
    at: datetime | None = None
    """When that was known."""
    failing_since: datetime | None = None
    """The first of the tries that failed and were not followed by one that didn't."""
    why: str = ""
    """Why the last of them failed."""


def view_of(row: sa.Row[Any]) -> RunView:
    return RunView(**{**row._mapping, "state": RunState(row.state)})


def attempt_of(row: sa.Row[Any]) -> Attempt:
    return Attempt(**{**row._mapping, "state": AttemptState(row.state)})


def decision_of(row: sa.Row[Any]) -> Decision:
    return Decision(**row._mapping)


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """All of it: with card and signature, so that it can be verified wherever it is read."""
    return {**vars(decision), "card": dict(decision.card), "at": decision.at.isoformat()}


def decision_from_json(stored: dict[str, Any]) -> Decision:
    decision = Decision(**stored)
    return replace(decision, at=datetime.fromisoformat(stored["at"]))
