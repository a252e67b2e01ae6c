"""The debt that a broken glass leaves: a review by others, due on a date, each word of it signed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hisauto.app import App, Signer
from hisauto.approval.card import Card
from hisauto.approval.rules import moment
from hisauto.clock import stamp
from hisauto.engine.decisions import check_decision
from hisauto.errors import HisautoError, Refused, UsageError
from hisauto.model.person import Person, at
from hisauto.model.run import REVIEW, Decision, RunView

FINDINGS = ("justified", "unjustified")
WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Review:
    """Of one gate of one run."""

    run: RunView
    gate: str
    """Its path."""
    broke: str
    """The person."""
    due: datetime
    people: int
    """How many have to say what they found: not who broke the glass, and not who asked for the run."""
    said: tuple[Decision, ...] = ()
    """What holds of what was said."""
    void: tuple[tuple[str, str], ...] = ()
    """Rows that don't count: whose, and why not."""

    @property
    def question(self) -> str:
        return REVIEW + self.gate

    @property
    def done(self) -> bool:
        return len(self.said) >= self.people

    def state(self, now: datetime) -> str:
        """``done``, ``due`` or ``overdue``."""
        return "done" if self.done else "overdue" if now >= self.due else "due"


def reviews(app: App, run: str | None = None) -> Iterator[Review]:
    """All that were ever due, of one run or of all, the longest due first. Every signature is verified here and now."""
    noted = app.store.noted(REVIEW, run)
    for of, key, value in sorted(noted, key=lambda row: (row[2]["due"], row[0], row[1])):
        yield _review(app, app.store.view(of), key.removeprefix(REVIEW), value)


def _review(app: App, run: RunView, gate: str, noted: Mapping[str, Any]) -> Review:
    review = Review(run, gate, noted["broke_glass"], datetime.fromisoformat(noted["due"]), noted["people"])
    said, void, now = [], [], app.clock.now()
    for row in app.store.decisions(run.id):
        if row.question != review.question:
            continue
        try:
            when = moment(Card.make(**row.card), review.due - WITHIN, now)
            people = at(app.site.people, when)
            check_decision(row, people=people, run=run.id, digest=run.digest)
            check_reviewer(review, people[row.person], app.site.may(row.person, "decide", when))
            said.append(row)
        except HisautoError as error:
            void.append((row.person, str(error)))
    return Review(run, gate, review.broke, review.due, review.people, tuple(said), tuple(void))


def check_reviewer(review: Review, person: Person, may_decide: bool) -> None:
    """Raises ``Refused`` for somebody whose review would be none."""
    if person.id == review.broke:
        raise Refused(f"{person.id} broke the glass and can't review that", hint="two others have to")
    if person.id == review.run.requester:
        raise Refused(f"{person.id} asked for this run and can't review it", hint="two others have to")
    if not may_decide:
        raise Refused(f"{person.id} may not decide here", hint="`may: {decide: …}` in hisauto.yml lists the roles")


def say(app: App, review: Review, finding: str, by: Signer, reason: str) -> bool:
    """Sign and keep what somebody found. False: they had said the same. Raises ``Refused``, ``UsageError``."""
    now = app.clock.now()
    person = app.site.people[by.person].at(now)
    check_reviewer(review, person, app.site.may(by.person, "decide", now))
    if finding not in FINDINGS:
        raise UsageError(f"'{finding}' is no finding", hint=f"one of: {', '.join(FINDINGS)}")
    run, asked = review.run, f"Was it right that {review.broke} broke the glass?"
    card = Card.make(
        what="decide", run=run.id, plan_digest=run.digest, gate=review.question, question=asked, answer=finding,
        person=by.person, reason=reason, at=stamp(now), nonce=secrets.token_hex(16),
    )  # fmt: skip
    signed = by.sign(card)
    shown = card.model_dump(mode="json")
    return app.store.decide(run.id, Decision(review.question, by.person, finding, reason, shown, signed, False, now))
