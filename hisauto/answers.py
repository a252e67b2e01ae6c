"""Whether a person may give an answer, said before anything is signed. The node looks again by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hisauto.errors import Refused, UsageError
from hisauto.model.person import Person
from hisauto.model.run import RunView

Question = Mapping[str, Any]
"""What a run waits for."""


def check_work(question: Question, answer: str, person: Person, evidence: str) -> None:
    """A word on a person's work. Raises ``Refused``, ``UsageError``."""
    if question["by"] not in person.roles:
        raise Refused(f"{person.id} is no {question['by']}, whose work this is")
    if answer not in question["answers"]:
        raise UsageError(f"'{answer}' is no answer here", hint=f"one of: {', '.join(question['answers'])}")
    if answer == "done" and question["evidence"] and not evidence:
        raise UsageError(f"it takes evidence: {question['evidence']}", hint="--evidence TEXT")


def check_gate(run: RunView, question: Question, answer: str, person: Person, break_glass: bool) -> None:
    """A yes, a no or a choice at a gate. Raises ``Refused``, ``UsageError``."""
    choices = question.get("choices") or ["yes"]
    if person.roles.isdisjoint(question["by"]):
        raise Refused(f"{person.id} is none of {', '.join(question['by'])}")
    if person.id == run.requester and not break_glass:
        raise Refused(f"{person.id} asked for this run and can't approve it", hint="another person has to")
    if break_glass and not (question["break_glass"] and run.level == 1 and run.incident):
        raise Refused(
            "the glass can't be broken here",
            hint="it takes a gate that allows it and a run with --incident REF --level 1",
        )
    if answer not in ("no", *choices):
        raise UsageError(f"'{answer}' is no answer at this gate", hint=f"--answer {' | '.join(choices)}")
