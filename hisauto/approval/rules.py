"""Who may say yes, and when enough have: pure functions of signed decisions. A row in the database is not a proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from hisauto.approval import sshsig
from hisauto.approval.card import Card, Fact
from hisauto.approval.matching import assign
from hisauto.errors import BadSignature, HisautoError, Invalid, Refused
from hisauto.model.person import Person, at

NO = "no"
YES = "yes"


@dataclass(frozen=True)
class Gate:
    """A question that people have to answer before a run goes on, exactly as its card showed it."""

    id: str
    run: str
    plan_digest: str
    roles: Mapping[str, int]
    """How many distinct people of each role have to say yes."""
    requester: str | None
    """The person who asked for the run; never counts. ``None``: a node did."""
    question: str | None = None
    facts: tuple[Fact, ...] = ()
    choices: tuple[str, ...] = ()
    """What there is to choose from; empty: yes or no."""
    break_glass_incident: str | None = None
    """The open incident of level 1 for which the glass may be broken; ``None``: it may not be."""
    opened_at: datetime | None = None
    """Whoever decides did so afterwards, whatever their card says. ``None``: the card is taken at its word."""

    def __post_init__(self) -> None:
        if not self.roles or any(count < 1 for count in self.roles.values()):
            raise Refused(
                f"gate {self.id} would be granted by nobody's yes", hint="every role needs a number of 1 or more"
            )
        if NO in self.choices:
            raise Refused(f"gate {self.id} offers {NO!r} as a choice: that is what refuses it")


@dataclass(frozen=True)
class Decision:
    """What a person signed, as it came or as it is stored."""

    message: bytes
    """The card's bytes."""
    signature: str
    """Armored SSHSIG."""


@dataclass(frozen=True)
class Vote:
    """A decision that was verified."""

    person: str
    answer: str
    """``yes``, ``no`` or one of the choices."""
    break_glass: bool = False
    roles: frozenset[str] = frozenset()
    """Of the person, when they said it."""


@dataclass(frozen=True)
class Verdict:
    """What the decisions come to."""

    state: Literal["granted", "denied", "waiting"]
    why: str
    """In words."""
    answer: str | None = None
    """When granted: ``yes`` or the choice."""
    by: tuple[str, ...] = ()
    """The people whose decisions made it so."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """While waiting: how many people of each role are still to say yes."""
    helpful: tuple[str, ...] = ()
    """While waiting: everybody whose yes would bring it nearer; nobody: it can't be granted by these people."""
    broke_glass: str | None = None
    """The person; a review is due."""
    void: tuple[tuple[str, str], ...] = ()
    """Decisions that don't count: whose it says it is, and why not."""


def check_people(people: Iterable[Person]) -> None:
    """Raises ``Refused`` if one key speaks for two people or two have one id, ``Invalid`` if a key can't be read."""
    owners: dict[bytes, str] = {}
    seen: set[str] = set()
    for person in people:
        if person.id in seen:
            raise Refused(f"two people have the id {person.id}", hint="give each their own")
        seen.add(person.id)
        for text in person.keys:
            try:
                key = sshsig.parse_public_key(text)
            except Invalid as error:
                raise Invalid(f"a key of {person.id}: {error}", hint=error.hint) from error
            owner = owners.setdefault(key.blob, person.id)
            if owner != person.id:
                raise Refused(
                    f"{owner} and {person.id} have the same key {key.fingerprint}",
                    hint="each key speaks for one person: let one of them make their own",
                )


def check_signature(card: Card, signature: str, people: Mapping[str, Person]) -> Person:
    """The person who signed this card; ``people`` as they stood then.

    Raises ``BadSignature`` if no key of theirs did that speaks for them, ``Refused`` if there is no such person.
    """
    person = people.get(card.person)
    if person is None:
        raise Refused(f"there is nobody with the id {card.person}", hint="people are listed in hisauto.yml")
    reasons: list[str] = []
    for text in person.keys:
        try:
            sshsig.verify(signature, card.message(), text)
        except BadSignature as error:
            reasons.append(str(error))
        else:
            return person
    _check_silent(card, signature, person)
    why = "; ".join(dict.fromkeys(reasons)) or "no key is registered for them"
    raise BadSignature(f"not signed by {person.id}: {why}")


def _check_silent(card: Card, signature: str, person: Person) -> None:
    """Raises ``Refused`` where a key signed that does not speak."""
    for text, why in person.silent.items():
        with suppress(BadSignature):
            sshsig.verify(signature, card.message(), text)
            raise Refused(f"the key {sshsig.parse_public_key(text).fingerprint} of {person.id} {why}")


def moment(card: Card, opened_at: datetime | None, now: datetime) -> datetime:
    """When a word was given: as its card says, but no earlier than it was asked for, and no later than now."""
    try:
        said = datetime.fromisoformat(card.at)
        return min(max(said, opened_at or said), now)
    except (ValueError, TypeError):  # no time, or one without its zone
        return now


def check_decision(gate: Gate, decision: Decision, people: Mapping[str, Person], now: datetime) -> Vote:
    """Verify one decision, before it becomes a row and again before the next step.

    Raises ``Invalid`` if it is no card, ``BadSignature`` if it is not signed by its person, ``Refused`` if that person
    may not decide here or it is about something else.
    """
    card = Card.parse(decision.message)
    person = check_signature(card, decision.signature, at(people, moment(card, gate.opened_at, now)))
    if card.what not in ("approve", "reject"):
        raise Refused(f"{card.what!r} does not answer a gate")
    if (card.run, card.gate) != (gate.run, gate.id):
        raise Refused(f"it is about gate {card.gate} of run {card.run}, not {gate.id} of {gate.run}")
    if card.plan_digest != gate.plan_digest:
        raise Refused("it is about another plan", hint="look at the card again and decide anew")
    # By their bytes: to Python true, 1 and 1.0 are the same.
    if card.model_copy(update={"question": gate.question, "facts": gate.facts}).message() != decision.message:
        raise Refused("the question or the facts were others", hint="look at the card again and decide anew")
    if not person.roles & gate.roles.keys():
        raise Refused(f"{person.id} has none of the roles {_and(sorted(gate.roles))}")
    if card.break_glass and (card.incident, card.level) != (gate.break_glass_incident, 1):
        raise Refused(f"the glass of gate {gate.id} can't be broken", hint="it takes an open incident of level 1")
    if person.id == gate.requester and not card.break_glass:
        raise Refused(f"{person.id} asked for this run and can't decide on it", hint="two others have to")
    return Vote(person.id, _answer(gate, card), card.break_glass, person.roles)


def evaluate(gate: Gate, decisions: Iterable[Decision], people: Mapping[str, Person], now: datetime) -> Verdict:
    """What the decisions come to, each verified here and now. Their order plays no part.

    Keys and roles are as they were when each was given; whoever hasn't decided yet stands as now.
    """
    votes: list[Vote] = []
    void: list[tuple[str, str]] = []
    stand = at(people, now)
    for decision in decisions:
        try:
            vote = check_decision(gate, decision, people, now)
            votes.append(vote)
            stand[vote.person] = replace(stand[vote.person], roles=vote.roles)
        except HisautoError as error:
            void.append((_claimed(decision), str(error)))
    return tally(gate, votes, stand, tuple(sorted(void)))


def tally(
    gate: Gate, votes: Sequence[Vote], people: Mapping[str, Person], void: tuple[tuple[str, str], ...] = ()
) -> Verdict:
    """Count verified votes: a refusal denies, differing choices deny, a broken glass grants, else the roles decide."""
    refusing = sorted({vote.person for vote in votes if vote.answer == NO})
    if refusing:
        return Verdict("denied", f"{_and(refusing)} said no", by=tuple(refusing), void=void)
    answers = sorted({vote.answer for vote in votes})
    by = tuple(sorted({vote.person for vote in votes}))
    if len(answers) > 1:
        return Verdict("denied", f"{_and(by)} do not agree: {_and(answers)}", by=by, void=void)
    broke = min((vote.person for vote in votes if vote.break_glass), default=None)
    if broke is not None:
        return Verdict("granted", f"{broke} broke the glass", answers[0], by, broke_glass=broke, void=void)
    counted = set(by) - {gate.requester}
    filled = assign(gate.roles, {name: people[name].roles for name in counted})
    if sum(filled.values()) == sum(gate.roles.values()):
        return Verdict("granted", f"{_and(by)} said {answers[0]}", answers[0], by, void=void)
    missing = {role: count - filled[role] for role, count in sorted(gate.roles.items()) if count > filled[role]}
    helpful = tuple(
        name
        for name in sorted(people.keys() - counted - {gate.requester})
        if sum(assign(gate.roles, {one: people[one].roles for one in (*counted, name)}).values()) > sum(filled.values())
    )
    return Verdict("waiting", _still_needed(missing, helpful), missing=missing, helpful=helpful, by=by, void=void)


def _answer(gate: Gate, card: Card) -> str:
    if card.what == "reject":
        return NO
    if not gate.choices:
        if card.answer not in (None, YES):
            raise Refused(f"gate {gate.id} is answered by yes or no, not by {card.answer!r}")
        return YES
    if card.answer not in gate.choices:
        raise Refused(f"gate {gate.id} is answered by {_and(gate.choices, 'or')}, not by {card.answer!r}")
    return card.answer


def _claimed(decision: Decision) -> str:
    try:
        return Card.parse(decision.message).person
    except Invalid:
        return "?"


def _still_needed(missing: Mapping[str, int], helpful: Sequence[str]) -> str:
    needed = _and([f"{count} more of {role}" for role, count in missing.items()])
    who = f"({_and(helpful, 'or')})" if helpful else "and nobody is left who may"
    return f"needs {needed} {who}"


def _and(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
