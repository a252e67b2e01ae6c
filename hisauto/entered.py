"""Work that was done by hand while hisauto was down, entered afterwards: a person's signed word, and never a proof."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hisauto.app import App, Signer
from hisauto.approval.card import Card, Fact
from hisauto.approval.rules import check_signature, moment
from hisauto.audit.entry import Entry
from hisauto.clock import stamp
from hisauto.errors import BadSignature, HisautoError, Refused, UsageError
from hisauto.model.person import at
from hisauto.runbook.digest import content_digest

KIND = "entered"
"""Of the log's entry."""
RESULTS = ("done", "partly", "not_done")


@dataclass(frozen=True)
class Entered:
    """One paper that was worked through."""

    card: Card
    """What was signed."""
    at: datetime
    """When it came into the log."""
    void: str = ""
    """Why the signature doesn't hold; empty: it does."""

    def fact(self, name: str) -> Any:
        return next((fact.value for fact in self.card.facts if fact.name == name), None)


def enter(
    app: App,
    runbook: str,
    params: Mapping[str, str],
    *,
    began: datetime,
    ended: datetime,
    people: Sequence[str],
    result: str,
    reason: str,
    paper: bytes | None,
    incident: str | None,
    level: int | None,
    by: Signer,
) -> Entered:
    """Sign and keep what was done by ``people``, who need not be known here. ``paper``: the scanned sheet, of which the
    SHA-256 is kept. Raises ``Refused``, ``UsageError``, ``NotFound``."""
    meant, now = app.runbook(runbook), app.clock.now()
    if not app.site.may(by.person, "run", now):
        raise Refused(f"{by.person} may not run runbooks here", hint="`may: {run: …}` in hisauto.yml lists the roles")
    if unknown := sorted(set(params) - set(meant.params)):
        known = ", ".join(meant.params) or "none"
        raise UsageError(f"{meant.runbook} has no parameter '{unknown[0]}'", hint=f"it has: {known}")
    if not began <= ended <= now:
        raise UsageError("work begins before it ends, and both were", hint="--began 02:51 --ended 03:20")
    facts: dict[str, Any]
    facts = {"runbook": meant.runbook, "version": meant.version, "params": dict(params), "began": stamp(began),
             "ended": stamp(ended), "people": list(people)}  # fmt: skip
    if paper is not None:
        facts["paper"] = hashlib.sha256(paper).hexdigest()
    card = Card.make(
        what="enter", run=f"h-{now:%Y%m%d}-{secrets.token_hex(3)}", plan_digest=content_digest(meant), answer=result,
        facts=tuple(Fact(name=name, value=value, source="said by hand") for name, value in facts.items()),
        incident=incident, level=level, person=by.person, reason=reason, at=stamp(now), nonce=secrets.token_hex(16),
    )  # fmt: skip
    app.store.enter(KIND, by.person, {"card": card.model_dump(mode="json"), "signature": by.sign(card)})
    return Entered(card, now)


def entered(app: App) -> Iterator[Entered]:
    """All that is still in this log, in order. Every signature is verified here and now."""
    for entry in app.store.entries_of(KIND):
        yield _read(app, entry)


def _read(app: App, entry: Entry) -> Entered:
    card, when = Card.make(**entry.data["card"]), datetime.fromisoformat(entry.at)
    try:
        if card.what != "enter" or card.person != entry.actor:
            raise BadSignature(f"what {card.person} signed is something else")
        check_signature(card, entry.data["signature"], at(app.site.people, moment(card, None, when)))
    except HisautoError as error:
        return Entered(card, when, str(error))
    return Entered(card, when)
