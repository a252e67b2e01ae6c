"""What people said about this run, believed only as far as their signatures hold.

A row in the database is not a proof: every signature is verified here, just before the engine acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import rfc8785

from hisauto.approval.card import REPORTED_AT, Card
from hisauto.approval.rules import check_signature
from hisauto.errors import HisautoError, Refused
from hisauto.model.person import Person, at
from hisauto.model.run import STOP_ROLLBACK, Decision, RunView

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive


def check_decision(decision: Decision, *, people: Mapping[str, Person], run: str, digest: str) -> None:
    """Verify that this person signed just this, about just this run and plan. Raises ``HisautoError`` with the reason.

    For everything but gates, whose rules are in ``hisauto.approval.rules``. ``people``: as they stand now.
    """
    card = Card.parse(signed_message(decision))
    what, gate, answer = meaning(decision)
    said = (card.what, card.run, card.gate, card.answer, card.person, card.plan_digest)
    meant = (what, run, gate, answer, decision.person, digest)
    names = ("deed", "run", "question", "answer", "person", "plan")
    for name, signed, row in zip(names, said, meant, strict=True):
        if signed != row:
            raise Refused(f"what {decision.person} signed is about another {name}: {signed}, not {row}")
    check_signature(card, decision.signature, people)


def as_signed(run: RunView, request: Decision) -> RunView:
    """A run as its requester signed it: who asked, why, for which incident, since when. The row may say anything."""
    card = Card.parse(signed_message(request))
    reported = next((f.value for f in card.facts if f.name == REPORTED_AT), None)
    return replace(
        run,
        requester=card.person,
        reason=card.reason or "",
        incident=card.incident,
        level=card.level,
        reported_at=datetime.fromisoformat(str(reported)) if reported is not None else run.created_at,
    )


def signed_message(decision: Decision) -> bytes:
    """The bytes that the signature has to be over: the stored card in canonical form."""
    return rfc8785.dumps(dict(decision.card))


def meaning(decision: Decision) -> tuple[str, str | None, str | None]:
    """What a card has to say to stand behind a row: its deed, its question and its answer."""
    if decision.question in ("run", "cancel"):
        return decision.question, None, None
    if not decision.question.startswith("gate:"):
        return "decide", decision.question, decision.answer
    if decision.answer == "no":
        return "reject", decision.question, None
    return "approve", decision.question, None if decision.answer == "yes" else decision.answer


class Decisions:
    """The verified decisions of one drive."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.sound: dict[tuple[str, str], Decision] = {}
        self.reported: set[tuple[str, str]] = set()

    def verified(self, question: str, rows: Sequence[Decision] | None = None) -> list[Decision]:
        """Those on a question whose signature holds; the others are noted in the log, once, and don't count."""
        found = []
        for row in self.drive.journal.decisions(question) if rows is None else rows:
            key = (question, row.person)
            if self.sound.get(key) != row:
                try:
                    check_decision(row, people=self.people(), run=self.drive.run.id, digest=self.drive.plan.digest)
                except HisautoError as e:
                    if key not in self.reported:
                        self.reported.add(key)
                        self.drive.journal.note(f"refused:{question}:{row.person}", str(e), kind="decision.refused")
                    continue
                self.sound[key] = row
            found.append(row)
        return found

    def people(self) -> Mapping[str, Person]:
        """As they stand now."""
        return at(self.drive.world.people, self.drive.clock.now())

    def may(self, person: str, deed: str) -> bool:
        """Whether the site lets somebody do this now."""
        return self.drive.world.may(person, deed, self.drive.clock.now())

    def one(self, question: str, answers: Sequence[str]) -> Decision | None:
        """The first sound answer to a question that any one entitled person may decide."""
        for row in sorted(self.verified(question), key=lambda d: d.at):
            if row.answer in answers and self.may(row.person, "decide"):
                return row
        return None

    def stops(self) -> list[Decision]:
        """Sound words against a rollback: cancels, and what those say who had cancelled the run before."""
        stops = [d for d in self.verified(STOP_ROLLBACK) if self.may(d.person, "cancel")]
        return [*self.cancels(), *stops]

    def cancels(self) -> list[Decision]:
        """Sound cancels by people who may."""
        rows = self.drive.journal.cancels()
        return [d for d in self.verified("cancel", rows) if self.may(d.person, "cancel")]
