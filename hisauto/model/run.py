"""A run and its attempts: the states, and the only moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from hisauto.errors import Broken


class RunState(StrEnum):
    """Where a run is. The ends say exactly what ``docs/semantics.md`` says of them."""

    queued = "queued"
    locking = "locking"
    guarding = "guarding"
    running = "running"
    waiting = "waiting"
    in_doubt = "in_doubt"
    verifying = "verifying"
    rolling_back = "rolling_back"
    succeeded = "succeeded"
    partial = "partial"
    refused = "refused"
    rejected = "rejected"
    expired = "expired"
    failed = "failed"
    rolled_back = "rolled_back"
    rollback_failed = "rollback_failed"
    cancelled = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDS


S = RunState
ENDS = frozenset({S.succeeded, S.partial, S.refused, S.rejected, S.expired, S.failed, S.rolled_back,
                  S.rollback_failed, S.cancelled})  # fmt: skip

RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    S.queued: frozenset({S.locking, S.cancelled}),
    S.locking: frozenset({S.guarding, S.cancelled}),
    S.guarding: frozenset({S.running, S.refused, S.cancelled}),
    S.running: frozenset({S.waiting, S.in_doubt, S.verifying, S.rolling_back, S.refused, S.rejected, S.expired,
                          S.failed, S.cancelled}),
    S.waiting: frozenset({S.running, S.in_doubt, S.verifying, S.rolling_back, S.rejected, S.expired, S.failed,
                          S.cancelled, S.refused}),
    S.in_doubt: frozenset({S.running, S.waiting, S.verifying, S.rolling_back, S.failed, S.cancelled}),
    S.verifying: frozenset({S.succeeded, S.partial, S.waiting, S.in_doubt, S.rolling_back, S.failed, S.cancelled,
                            S.running}),
    S.rolling_back: frozenset({S.rolled_back, S.rollback_failed, S.cancelled, S.failed, S.rejected, S.expired}),
    **{end: frozenset() for end in ENDS},
}  # fmt: skip


class AttemptState(StrEnum):
    """What is known of a step on one host. ``started`` is committed before the first byte goes out."""

    skipped = "skipped"
    already = "already"
    started = "started"
    done = "done"
    failed = "failed"
    in_doubt = "in_doubt"
    undone = "undone"
    undo_failed = "undo_failed"


A = AttemptState
ATTEMPT_MOVES: Mapping[AttemptState | None, frozenset[AttemptState]] = {
    None: frozenset({A.skipped, A.already, A.started, A.failed}),
    A.started: frozenset({A.started, A.done, A.failed, A.in_doubt}),
    A.in_doubt: frozenset({A.done, A.failed, A.undone, A.undo_failed}),
    A.done: frozenset({A.undone, A.undo_failed}),
    A.failed: frozenset({A.undone, A.undo_failed}),
    A.undo_failed: frozenset({A.undone, A.undo_failed}),
    A.skipped: frozenset(),
    A.already: frozenset(),
    A.undone: frozenset(),
}


def check_run_move(old: RunState, new: RunState) -> None:
    """Raise ``Broken`` for a move that the table doesn't have. Staying is no move."""
    if old != new and new not in RUN_MOVES[old]:
        raise Broken(f"a run can't go from {old} to {new}")


def check_attempt_move(old: AttemptState | None, new: AttemptState) -> None:
    """Raise ``Broken`` for a move that the table doesn't have."""
    if new not in ATTEMPT_MOVES[old]:
        raise Broken(f"an attempt can't go from {old or 'pending'} to {new}")


@dataclass(frozen=True)
class Attempt:
    """One try of one step at one place. ``path#n`` names it, here and in the receipt on the host."""

    path: str
    """The step's place in the plan with its unit: ``4[app07].2``; an undo's ends in ``!undo``."""
    n: int
    """Counts from 1."""
    state: AttemptState
    name: str
    host: str | None
    """Where it runs; ``None`` is the node itself."""
    epoch: int
    intent: Mapping[str, Any] = field(default_factory=dict)
    """As journaled before the first byte: rendered action and undo, ``before`` probe, place."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """As journaled afterwards: observation, why, left to do."""
    seq: int = 0
    """The order in which attempts of a run were journaled first."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.path}#{self.n}"


STOP_ROLLBACK = "rollback"
"""The question that a run asks nobody while it goes back, and that whoever may cancel can answer by ``stop``."""


REVIEW = "review:"
"""Begins the question that a broken glass leaves: whether that was right. No run waits for it."""


@dataclass(frozen=True)
class Decision:
    """One person's signed word on one question (a gate, an ``in_doubt`` attempt, an ``ask``, a cancel)."""

    question: str
    person: str
    answer: str
    """``yes``, ``no``, a choice; for attempts ``done``, ``again``, ``rollback``, ``stop``; ``cancel``."""
    reason: str
    card: Mapping[str, Any]
    signature: str
    """Armored SSHSIG over the canonical card. A row is no proof: whoever acts on it verifies this first."""
    break_glass: bool
    at: datetime


@dataclass(frozen=True)
class RunView:
    """What is on record of a run."""

    id: str
    runbook: str
    version: str
    state: RunState
    digest: str
    requester: str
    reason: str
    incident: str | None
    level: int | None
    epoch: int
    question: Mapping[str, Any] | None
    """What it waits for: ``{kind: gate|in_doubt|ask|lock, id, …}``."""
    wake_at: datetime | None
    created_at: datetime
    reported_at: datetime
    """When the fault was reported, or the run asked for: RTO runs from here."""
    ended_at: datetime | None
    summary: Mapping[str, Any]
    """At the end: why, measured RTO and RPO in seconds or None, what is left to do by hand."""

    @property
    def questions(self) -> tuple[Mapping[str, Any], ...]:
        """Everything it waits for, each by itself: several when steps side by side ask."""
        return (self.question, *self.question.get("also", ())) if self.question is not None else ()
