"""The people of a rehearsal: as many of each role as gates want, and what a sensible one of them answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hisauto.plan.plan import walk
from hisauto.runbook.documents import Runbook
from hisauto.testing.people import Signatory

REQUESTER = "requester-1"
SECOND = "requester-2"
AGAIN_AT_MOST = 2
"""How often people say ``again`` of one thing before they stop."""


def crowd(runbooks: Sequence[Runbook]) -> list[Signatory]:
    """Everybody that the gates, and a person's work, could want."""
    wanted: dict[str, int] = {}
    for runbook in runbooks:
        for role, number in _roles(runbook):
            wanted[role] = max(wanted.get(role, 0), number)
    found = [Signatory(name_of(role, n), role) for role, number in wanted.items() for n in range(1, number + 1)]
    return [*found, Signatory(REQUESTER, "requester"), Signatory(SECOND, "requester")]


def name_of(role: str, number: int) -> str:
    return f"{role}-{number}"


def _roles(runbook: Runbook) -> Iterator[tuple[str, int]]:
    for step in walk((*runbook.steps, *runbook.always)):
        if step.approve is not None:
            yield from step.approve.by.items()
        if step.manual is not None:
            yield step.manual.by, 1


def options(question: Mapping[str, Any], *, is_so: bool, said_again: int) -> list[str]:
    """What a sensible person may answer, the likeliest first; nothing: there is nothing to choose.

    ``is_so``: whether what it is about has taken effect, which they can see.
    """
    again = ["again"] if said_again < AGAIN_AT_MOST else []
    match question["kind"]:
        case "gate":
            return list(question.get("choices") or ("yes",))
        case "in_doubt":
            return ["done", "stop"] if is_so else [*again, "stop"]
        case "ask":
            return ["stop", *again, "rollback"] if question.get("barred") else ["rollback", *again, "stop"]
        case "manual":
            return ["done", "failed"]
        case _:
            return []
