"""How a walk through a plan can be interrupted. Control flow only; none of these reaches a user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hisauto.errors import Invalid, NotFound, Refused, UsageError
from hisauto.model.run import RunState

UNFIT = (Invalid, NotFound, Refused, UsageError)
"""What a runbook's own words can raise: a template without a value, a pattern without a host."""


class Interruption(Exception):
    """The walk can't go on from here."""


class Waiting(Interruption):
    """Somebody has to say something first, or a lock has to come free."""

    def __init__(self, state: RunState, question: Mapping[str, Any], wake_at: datetime | None = None) -> None:
        super().__init__(question.get("kind"))
        self.state, self.question, self.wake_at = state, question, wake_at

    @classmethod
    def all(cls, waits: Sequence[Waiting]) -> Waiting:
        """One wait for several answers: the first question, with the others under ``also``."""
        questions = [asked for wait in waits for asked in wait.questions()]
        wakes = [wait.wake_at for wait in waits if wait.wake_at is not None]
        first = {**questions[0], "also": questions[1:]} if len(questions) > 1 else questions[0]
        return cls(waits[0].state, first, min(wakes, default=None))

    def questions(self) -> Iterator[Mapping[str, Any]]:
        """Every question by itself."""
        yield {name: value for name, value in self.question.items() if name != "also"}
        yield from self.question.get("also", ())


class Failure(Interruption):
    """A step failed, or ``verify`` did not hold."""

    def __init__(self, path: str, why: str, *, attempt: str | None = None, policy: str | None = None) -> None:
        super().__init__(why)
        self.path, self.why, self.attempt = path, why, attempt
        self.policy = policy
        """``stop``, ``rollback`` or ``ask`` when the step or a person says so; None: as the runbook says."""
        self.undone: str | None = None
        """The path of the unit that went back because of it."""
        self.stuck = False
        """It was to go back, and behind the point of no return nothing does: nobody tolerates that unasked."""
        self.final = False
        """A person said no, or stop: the list around it is not run again."""

    @classmethod
    def all(cls, failures: Sequence[Failure]) -> Failure:
        """One failure of several units: it is the first that is asked about."""
        first = failures[0]
        found = cls(first.path, "; ".join(f.why for f in failures), attempt=first.attempt, policy=first.policy)
        found.undone, found.final = first.undone, any(f.final for f in failures)
        found.stuck = any(f.stuck for f in failures)
        return found


class Forbidden(Failure):
    """Something that must never be is so, or can't be told: no other way is tried, and nothing is tolerated."""


class Ended(Interruption):
    """The walk is over for a reason that is no failure of a step."""

    def __init__(self, state: RunState, why: str) -> None:
        super().__init__(why)
        self.state, self.why = state, why
