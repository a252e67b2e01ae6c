"""Gates: what grants, what denies, what does not count; and the laws that hold for every gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hisauto.approval.card import Card, Fact
from hisauto.approval.rules import (
    Decision,
    Gate,
    Verdict,
    Vote,
    check_decision,
    check_people,
    check_signature,
    evaluate,
    tally,
)
from hisauto.errors import BadSignature, Invalid, Refused
from hisauto.model.person import Deputising, Limits, Person

from .keys import Key

ROLES = {
    "dba-1": {"dba_lead"},
    "dba-2": {"dba_lead"},
    "duty-1": {"duty_manager"},
    "both-1": {"dba_lead", "duty_manager"},
    "net-1": {"network"},
    "asker": {"dba_lead", "duty_manager"},
}
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
KEYS = {name: Key(number) for number, name in enumerate(ROLES, 1)}
PEOPLE = {name: Person(name, name, frozenset(roles), (KEYS[name].public,)) for name, roles in ROLES.items()}
FACT = Fact(name="replica", value={"lag": 0}, source="db2")
GATE = Gate(
    id="two-agree",
    run="r-1",
    plan_digest="ab",
    roles={"dba_lead": 1, "duty_manager": 1},
    requester="asker",
    question="Promote db2?",
    facts=(FACT,),
)
CHOOSING = replace(GATE, choices=("adopt", "reverse"))
BREAKABLE = replace(GATE, break_glass_incident="i-1")
BROKEN: dict[str, Any] = {"break_glass": True, "incident": "i-1", "level": 1, "reason": "the wards are waiting"}


def decided(person: str, what: str = "approve", *, key: str | None = None, **change: Any) -> Decision:
    """A decision as that person would sign it; ``key``: whose key does."""
    fields: dict[str, Any] = {
        "what": what,
        "run": "r-1",
        "plan_digest": "ab",
        "gate": "two-agree",
        "question": "Promote db2?",
        "facts": (FACT,),
        "person": person,
        "at": "2026-11-23T03:00:00.000Z",
        "nonce": person,
    }
    message = Card.make(**fields | change).message()
    return Decision(message, KEYS[key or person].sign(message))


def voted(*names: str, **change: Any) -> list[Decision]:
    return [decided(name, **change) for name in names]


@pytest.mark.parametrize(
    ("gate", "decisions", "state", "why"),
    [
        (GATE, [], "waiting", "1 more of dba_lead and 1 more of duty_manager (both-1, dba-1, dba-2 or duty-1)"),
        (GATE, voted("dba-1"), "waiting", "needs 1 more of duty_manager (both-1 or duty-1)"),
        (GATE, voted("dba-1", "dba-2"), "waiting", "needs 1 more of duty_manager (both-1 or duty-1)"),
        (GATE, voted("both-1"), "waiting", "1 more of duty_manager (dba-1, dba-2 or duty-1)"),
        (GATE, voted("dba-1", "dba-1"), "waiting", "1 more of duty_manager"),
        (GATE, voted("dba-1", "duty-1"), "granted", "dba-1 and duty-1 said yes"),
        (GATE, voted("both-1", "dba-1"), "granted", "both-1 and dba-1 said yes"),
        (GATE, voted("dba-1", "duty-1", answer="yes"), "granted", "said yes"),
        (GATE, [*voted("dba-1", "duty-1"), decided("dba-2", "reject")], "denied", "dba-2 said no"),
        (GATE, [decided("dba-1"), decided("dba-1", "reject")], "denied", "dba-1 said no"),
        (replace(GATE, roles={"network": 2}), voted("net-1"), "waiting", "and nobody is left who may"),
        (CHOOSING, voted("dba-1", "duty-1", answer="adopt"), "granted", "said adopt"),
        (CHOOSING, [decided("dba-1", answer="adopt"), decided("duty-1", answer="reverse")], "denied", "not agree"),
        (CHOOSING, [decided("dba-1", answer="adopt"), decided("duty-1", "reject")], "denied", "duty-1 said no"),
        (BREAKABLE, [decided("dba-1", **BROKEN)], "granted", "dba-1 broke the glass"),
        (BREAKABLE, [decided("asker", **BROKEN)], "granted", "asker broke the glass"),
        (BREAKABLE, [decided("asker", **BROKEN), decided("dba-1", "reject")], "denied", "dba-1 said no"),
    ],
)
def test_what_decisions_come_to(gate: Gate, decisions: list[Decision], state: str, why: str) -> None:
    for given_decisions in (decisions, decisions[::-1]):
        verdict = evaluate(gate, given_decisions, PEOPLE, NOW)
        assert (verdict.state, verdict.void) == (state, ())
        assert why in verdict.why


def test_the_verdict_in_full() -> None:
    assert evaluate(CHOOSING, voted("dba-1", "duty-1", answer="adopt"), PEOPLE, NOW) == Verdict(
        "granted", "dba-1 and duty-1 said adopt", "adopt", ("dba-1", "duty-1")
    )
    waiting = evaluate(GATE, voted("dba-1"), PEOPLE, NOW)
    assert (waiting.missing, waiting.helpful, waiting.by) == ({"duty_manager": 1}, ("both-1", "duty-1"), ("dba-1",))
    assert evaluate(BREAKABLE, [decided("asker", **BROKEN)], PEOPLE, NOW).broke_glass == "asker"


def stored(decision: Decision, old: bytes, new: bytes) -> Decision:
    """The row after somebody with the database changed it."""
    assert old in decision.message
    return replace(decision, message=decision.message.replace(old, new))


@pytest.mark.parametrize(
    ("gate", "decision", "error", "why"),
    [
        (GATE, decided("dba-1", key="dba-2"), BadSignature, "not signed by dba-1: it was made with another key"),
        (GATE, stored(decided("dba-1"), b"approve", b"reject"), BadSignature, "does not match"),
        (GATE, stored(decided("dba-1"), b'"dba-1"', b'"dba-2"'), BadSignature, "not signed by dba-2"),
        (GATE, Decision(decided("dba-1").message, ""), BadSignature, "not an armored"),
        (GATE, Decision(b"{}", decided("dba-1").signature), Invalid, "not a card"),
        (GATE, decided("nobody", key="dba-1"), Refused, "nobody with the id nobody"),
        (GATE, decided("net-1"), Refused, "none of the roles dba_lead and duty_manager"),
        (GATE, decided("net-1", "reject"), Refused, "none of the roles"),
        (GATE, decided("asker"), Refused, "asker asked for this run"),
        (GATE, decided("asker", "reject"), Refused, "asker asked for this run"),
        (GATE, decided("dba-1", run="r-2"), Refused, "of run r-2"),
        (GATE, decided("dba-1", gate="another"), Refused, "about gate another"),
        (GATE, decided("dba-1", plan_digest="cd"), Refused, "another plan"),
        (GATE, decided("dba-1", question="Tea?"), Refused, "were others"),
        (GATE, decided("dba-1", facts=()), Refused, "were others"),
        (GATE, decided("dba-1", facts=(FACT.model_copy(update={"value": {"lag": False}}),)), Refused, "were others"),
        (GATE, decided("dba-1", answer="adopt"), Refused, "yes or no, not by 'adopt'"),
        (GATE, decided("dba-1", "decide", answer="again"), Refused, "does not answer a gate"),
        (GATE, decided("dba-1", "run", gate=None), Refused, "does not answer a gate"),
        (CHOOSING, decided("dba-1"), Refused, "adopt or reverse, not by None"),
        (CHOOSING, decided("dba-1", answer="leave"), Refused, "adopt or reverse, not by 'leave'"),
        (GATE, decided("dba-1", **BROKEN), Refused, "can't be broken"),
        (BREAKABLE, decided("dba-1", **BROKEN | {"incident": "i-2"}), Refused, "can't be broken"),
        (BREAKABLE, decided("dba-1", **BROKEN | {"level": 2}), Refused, "can't be broken"),
        (BREAKABLE, decided("net-1", **BROKEN), Refused, "none of the roles"),
        (BREAKABLE, decided("asker"), Refused, "asker asked for this run"),
    ],
)
def test_what_does_not_count(gate: Gate, decision: Decision, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why) as raised:
        check_decision(gate, decision, PEOPLE, NOW)
    assert type(raised.value) is error
    verdict = evaluate(gate, [decision], PEOPLE, NOW)
    assert (verdict.state, verdict.by, len(verdict.void)) == ("waiting", (), 1)
    others = voted("dba-2", "duty-1", **({"answer": "adopt"} if gate is CHOOSING else {}))
    assert evaluate(gate, [decision, *others], PEOPLE, NOW).state == "granted", "a void row stops nobody"


def test_a_signature_is_for_this_namespace_only() -> None:
    decision = decided("dba-1")
    elsewhere = replace(decision, signature=KEYS["dba-1"].sign(decision.message, b"git"))
    with pytest.raises(BadSignature, match="'git'"):
        check_decision(GATE, elsewhere, PEOPLE, NOW)


def test_whoever_lost_the_role_or_the_key_counts_no_more() -> None:
    decisions = voted("dba-1", "duty-1")
    for change in ({"roles": frozenset[str]()}, {"keys": ()}):
        verdict = evaluate(GATE, decisions, PEOPLE | {"dba-1": replace(PEOPLE["dba-1"], **change)}, NOW)
        assert verdict.state == "waiting"
        assert [person for person, _ in verdict.void] == ["dba-1"]


HOUR = timedelta(hours=1)
OPENED = replace(GATE, opened_at=NOW - HOUR)
TIMES: dict[str, tuple[dict[str, Any], datetime | str, datetime, str]] = {
    "signed in time": ({"until": NOW}, NOW - HOUR / 2, NOW + HOUR, ""),
    "signed when it had expired": ({"until": NOW}, NOW, NOW, "expired at 2026-11-23T03:00:00.000Z"),
    "dated back to before the gate": ({"until": NOW - 2 * HOUR}, NOW - 3 * HOUR, NOW, "expired"),
    "not valid yet": ({"since": NOW}, NOW - HOUR / 2, NOW + HOUR, "is not valid before"),
    "dated forward": ({"since": NOW + HOUR}, NOW + 2 * HOUR, NOW, "is not valid before"),
    "revoked": ({"revoked": "yesterday"}, NOW - HOUR / 2, NOW, "was revoked (yesterday)"),
    "no moment": ({"until": NOW}, "at night", NOW, "expired"),
    "a moment without its zone": ({"until": NOW}, "2026-11-23T02:30:00", NOW, "expired"),
}


@pytest.mark.parametrize("name", TIMES)
def test_a_key_counts_as_it_stood_when_it_signed_within_what_can_be_known(name: str) -> None:
    limits, said, now, why = TIMES[name]
    people = PEOPLE | {"dba-1": replace(PEOPLE["dba-1"], limits={KEYS["dba-1"].public: Limits(**limits)})}
    at = said if isinstance(said, str) else said.isoformat()
    verdict = evaluate(OPENED, [decided("dba-1", at=at), decided("duty-1")], people, now)
    assert (verdict.state, len(verdict.void)) == (("waiting", 1) if why else ("granted", 0)), verdict
    assert all(why in void and "SHA256:" in void for _, void in verdict.void)


@pytest.mark.parametrize(("minutes", "state"), [(0, "granted"), (29, "granted"), (30, "waiting")])
def test_a_deputy_counts_for_the_role_that_they_held_when_they_decided(minutes: int, state: str) -> None:
    """A grant stays one when their time is over; and whoever is a deputy counts for one role like everybody."""
    held = Deputising(frozenset({"duty_manager"}), NOW - HOUR, NOW - HOUR / 2)
    people = PEOPLE | {"net-1": replace(PEOPLE["net-1"], deputising=(held,))}
    said = decided("net-1", at=(NOW - HOUR + timedelta(minutes=minutes)).isoformat())
    assert evaluate(OPENED, [decided("dba-1"), said], people, NOW).state == state
    asked = replace(OPENED, requester="net-1")
    assert evaluate(asked, [decided("dba-1"), said], people, NOW).state == "waiting", "never the requester"
    assert evaluate(OPENED, [said], people, NOW).missing.keys() >= {"dba_lead"}


def test_a_deputy_is_said_to_help_while_they_are_one() -> None:
    held = Deputising(frozenset({"duty_manager"}), NOW, NOW + HOUR)
    people = PEOPLE | {"net-1": replace(PEOPLE["net-1"], deputising=(held,))}
    assert "net-1" in evaluate(OPENED, voted("dba-1"), people, NOW).helpful
    assert "net-1" not in evaluate(OPENED, voted("dba-1"), people, NOW + HOUR).helpful


def test_each_key_of_a_person_speaks_for_them() -> None:
    second = Key(99)
    people = PEOPLE | {"dba-1": replace(PEOPLE["dba-1"], keys=(*PEOPLE["dba-1"].keys, second.public))}
    card = Card.parse(decided("dba-1").message)
    assert check_signature(card, second.sign(card.message()), people).id == "dba-1"
    with pytest.raises(BadSignature):
        check_signature(card, second.sign(card.message()), PEOPLE)


@pytest.mark.parametrize("roles", [{}, {"dba_lead": 0}, {"dba_lead": 1, "duty_manager": 0}, {"dba_lead": -1}], ids=str)
def test_a_gate_that_nobody_has_to_grant_is_refused(roles: dict[str, int]) -> None:
    with pytest.raises(Refused, match="nobody's yes"):
        replace(GATE, roles=roles)


def test_no_is_no_choice() -> None:
    with pytest.raises(Refused, match="'no'"):
        replace(GATE, choices=("adopt", "no"))


def test_one_key_for_two_people_is_refused() -> None:
    check_people(PEOPLE.values())
    with pytest.raises(Refused, match=r"dba-1 and dba-9 have the same key SHA256:"):
        check_people([*PEOPLE.values(), Person("dba-9", "", frozenset(), (f"{KEYS['dba-1'].public} a comment",))])


def test_one_person_may_list_a_key_twice() -> None:
    check_people([Person("dba-9", "", frozenset(), (KEYS["dba-1"].public, KEYS["dba-1"].public + " laptop"))])


def test_two_people_with_one_id_are_refused() -> None:
    with pytest.raises(Refused, match="the id dba-1"):
        check_people([PEOPLE["dba-1"], replace(PEOPLE["dba-2"], id="dba-1")])


def test_a_key_that_is_none_is_refused_with_its_person() -> None:
    with pytest.raises(Invalid, match="a key of dba-9"):
        check_people([Person("dba-9", "", frozenset(), ("ssh-ed25519 AAAA",))])


# The laws, over every gate and every set of verified votes.

NAMES = [f"p{number}" for number in range(6)]
ALL_ROLES = ["a", "b", "c"]
GATES = st.builds(
    lambda roles, requester: replace(GATE, roles=roles, requester=requester),
    st.dictionaries(st.sampled_from(ALL_ROLES), st.integers(1, 2), min_size=1),
    st.sampled_from([None, *NAMES]),
)
CROWDS = st.fixed_dictionaries({name: st.frozensets(st.sampled_from(ALL_ROLES)) for name in NAMES}).map(
    lambda roles: {name: Person(name, name, held, ()) for name, held in roles.items()}
)
YESES = st.lists(st.builds(Vote, st.sampled_from(NAMES), st.just("yes")), max_size=8)
ANY = st.lists(st.builds(Vote, st.sampled_from(NAMES), st.sampled_from(["yes", "no"]), st.booleans()), max_size=8)


@given(GATES, CROWDS, YESES, YESES)
def test_more_yes_never_takes_a_grant_away(
    gate: Gate, crowd: dict[str, Person], some: list[Vote], more: list[Vote]
) -> None:
    if tally(gate, some, crowd).state == "granted":
        assert tally(gate, some + more, crowd).state == "granted"


@given(GATES, CROWDS, YESES)
def test_a_grant_took_enough_distinct_people(gate: Gate, crowd: dict[str, Person], votes: list[Vote]) -> None:
    voters = {vote.person for vote in votes} - {gate.requester}
    enough = len(voters) >= sum(gate.roles.values()) and all(
        sum(role in crowd[name].roles for name in voters) >= count for role, count in gate.roles.items()
    )
    if not enough:  # what else it takes, one person for one role only, is told by the examples above
        assert tally(gate, votes, crowd).state == "waiting"


@given(GATES, CROWDS, YESES)
def test_the_requester_never_counts(gate: Gate, crowd: dict[str, Person], votes: list[Vote]) -> None:
    others = [vote for vote in votes if vote.person != gate.requester]
    assert tally(gate, votes, crowd).state == tally(gate, others, crowd).state


@given(GATES, CROWDS, ANY, st.randoms(use_true_random=False))
def test_the_order_plays_no_part(gate: Gate, crowd: dict[str, Person], votes: list[Vote], random: Any) -> None:
    turned = list(votes)
    random.shuffle(turned)
    assert tally(gate, turned, crowd) == tally(gate, votes, crowd)


@given(GATES, CROWDS, ANY)
def test_one_no_denies(gate: Gate, crowd: dict[str, Person], votes: list[Vote]) -> None:
    denied = tally(gate, votes, crowd).state == "denied"
    assert denied == any(vote.answer == "no" for vote in votes)


@given(GATES, CROWDS, YESES)
def test_who_is_said_to_help_does_and_nobody_else(gate: Gate, crowd: dict[str, Person], votes: list[Vote]) -> None:
    verdict = tally(gate, votes, crowd)
    assume(verdict.state == "waiting")
    short = sum(verdict.missing.values())
    assert short > 0
    for name in NAMES:
        after = tally(gate, [*votes, Vote(name, "yes")], crowd)
        assert (sum(after.missing.values()) < short) == (name in verdict.helpful)
