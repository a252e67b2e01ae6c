"""What goes wrong, and where: the moves of the opponent."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class How(StrEnum):
    """A way for things to go wrong."""

    fails = "fails"
    fails_after = "fails, yet takes effect"
    times_out = "times out"
    unreachable = "host unreachable"
    late = "effect late"
    too_late = "effect too late"
    cut = "connection lost"
    lost = "result lost"
    dies_before = "orchestrator dies before"
    dies_during = "orchestrator dies during"
    dies_after = "orchestrator dies after"
    denied = "denied"
    expired = "expired"
    cancelled = "cancelled"


OF_AN_ACT = (How.fails, How.fails_after, How.times_out, How.unreachable, How.late, How.too_late, How.cut, How.lost,
             How.dies_during)  # fmt: skip
OF_A_LOOK = (How.fails, How.times_out, How.unreachable)
OF_A_GATE = (How.denied, How.expired, How.cancelled)
DEATHS = {How.dies_before: "before", How.dies_after: "after"}
AWAY = 3600.0
"""Seconds for which a host can't be reached: longer than any ``within`` and ``rollback_within``."""
LATE = 2.0
"""Seconds after its end until a late effect shows: within what a ``done_when`` usually grants."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that goes wrong. ``at`` is an attempt (``3[db1]#1``), a look, a gate or a write to the journal."""

    at: str
    how: How
    step: str = field(compare=False, default="")
    """What a person calls it."""

    def __str__(self) -> str:
        return f"{self.step or self.at}: {self.how}"


@dataclass(frozen=True, order=True)
class Schedule:
    """What goes wrong in one run, and what people answer to what has several answers; after these, as one would."""

    faults: tuple[Fault, ...] = ()
    answers: tuple[str, ...] = ()
