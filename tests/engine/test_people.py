"""Gates, decisions and cancels: whose word counts, and what it does. ``docs/semantics.md``, *Gates* and *Rollback*."""

from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from hisauto.model.run import Decision, RunState
from hisauto.store.rows import decision_to_json
from hisauto.store.schema import decisions, memos, runs
from hisauto.testing.hosts import Fault, Host

from .play import Case, Play

GATE = """
    guards:
      - {name: Replica, hosts: b, look: lag, expect: value == '0', register: replica}
    steps:
      - name: Agree
        approve:
          question: Stop {{ params_or_host }}?
          facts: [replica]
          by: {dba: 1, lead: 1}
          within: 10m
          otherwise: deny
          break_glass: true
      - {name: Stop, hosts: a, set: {service: stopped}, undo: {set: {service: started}, idempotent: true}}
    always:
      - {name: Tell, set: {told: "{{ run.end }}"}}
""".replace("{{ params_or_host }}", "{{ replica.value }}")
LATER = """
    on_failure: rollback
    steps:
      - {name: Stop, hosts: a, set: {service: stopped}, undo: {set: {service: started}, idempotent: true}}
      - {name: Agree, approve: {question: Go on?, by: {dba: 1}, within: 10m}}
      - {name: Then, hosts: a, set: {then: 1}}
"""
IN_UNITS = """
    steps:
      - name: Block
        hosts: db
        batch: 1
        max_failures: 1
        steps:
          - {name: Agree, approve: {question: "{{ host }}?", by: {dba: 1}, within: 10m}}
          - {name: Stop, set: {service: stopped}}
"""
WELL = {"b": {"lag": "0"}}
DOUBT = """
    steps:
      - {name: Stop, hosts: a, set: {service: stopped}, undo: {set: {service: started}, idempotent: true}}
      - {name: Then, hosts: a, set: {then: 1}}
"""
UNKNOWN = {"a 1[a]#1": Fault(lost="answer", then=Host.wipe)}
ASKS = "    on_failure: ask\n" + DOUBT
BROKEN = {"a 1[a]#1": Fault(rc=1)}

CASES = [
    Case("granted by a person of each role", GATE, WELL, turns=["dba-1 yes", "lead-1 yes"],
         moves="a service=stopped, node told=succeeded"),
    Case("one no refuses", GATE, WELL, turns=["dba-1 yes", "lead-1 no"], moves="node told=rejected", end="rejected",
         why="lead-1 said no"),
    Case("out of time before any change", GATE, WELL, turns=["dba-1 yes", "time"], moves="node told=expired",
         end="expired", why="nobody decided in time"),
    Case("break-glass by an eligible person", GATE, WELL, incident="INC-7", turns=["dba-1 breaks the glass"],
         moves="a service=stopped, node told=succeeded"),
    Case("a no after the first change fails that step", LATER, turns=["dba-1 no"], end="rolled_back",
         moves="a service=stopped, a service=started", why="dba-1 said no"),
    Case("out of time after a change: it escalates and waits", LATER, turns=["time", "later; dba-1 yes"],
         moves="a service=stopped, a then=1"),
    Case("a no in a unit fails that unit", IN_UNITS, turns=["dba-1 no", "dba-1 yes"], moves="b service=stopped",
         end="partial"),
    Case("in doubt: done, and undone on rollback", "    on_failure: rollback\n" + DOUBT, turns=["dba-1 done"],
         faults={**UNKNOWN, "a 2[a]": Fault(rc=1)}, moves="a service=stopped, a then=1, a service=started",
         end="rolled_back"),
    Case("in doubt: again", DOUBT, faults=UNKNOWN, turns=["dba-1 again"],
         moves="a service=stopped, a service=stopped, a then=1"),
    Case("in doubt: stop", DOUBT, faults=UNKNOWN, turns=["dba-1 stop"], moves="a service=stopped", end="failed"),
    Case("ask: again", ASKS, faults=BROKEN, turns=["dba-1 again"],
         moves="a service=stopped, a service=stopped, a then=1"),
    Case("ask: rollback", ASKS, faults=BROKEN, turns=["dba-1 rollback"], moves="a service=stopped, a service=started",
         end="rolled_back"),
    Case("ask: stop", ASKS, faults=BROKEN, turns=["dba-1 stop"], moves="a service=stopped", end="failed"),
    Case("cancelled at a gate, before any change", GATE, WELL, turns=["duty-1 cancels"], moves="node told=cancelled",
         end="cancelled", why="cancelled by duty-1"),
    Case("cancelled at a gate, after a change: it goes back", LATER, turns=["duty-1 cancels"],
         moves="a service=stopped, a service=started", end="cancelled"),
    Case("cancelled in doubt: an undo that can't tell is listed", DOUBT.replace(", idempotent: true", ""),
         faults=UNKNOWN, turns=["duty-1 cancels"], moves="a service=stopped", end="rollback_failed", left="1[a]#1"),
    Case("cancelled behind the point of no return: what stays is listed", """
    steps:
      - {name: Fence, hosts: a, set: {service: stopped}, undo: {set: {service: started}, idempotent: true}}
      - {name: Promote, hosts: b, set: {role: primary}, irreversible: for good}
      - {name: Agree, approve: {question: Go on?, by: {dba: 1}, within: 10m}}
    """, turns=["duty-1 cancels"], moves="a service=stopped, b role=primary", end="rollback_failed", left="1[a]#1"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(play: Play, case: Case) -> None:
    run = play.prepare(case)
    play.check(case, run, play.through(run, case.turns))


def waiting(play: Play, text: str = GATE, **more: str) -> str:
    """A run that waits for its gate."""
    run = play.prepare(Case("", text, WELL, **more))  # type: ignore[arg-type]  # strings only
    assert play.drive(run) is None
    return run


def test_a_card_shows_its_facts_with_value_source_and_age(play: Play) -> None:
    question = play.store.view(waiting(play)).question
    assert question is not None
    assert question["question"] == "Stop 0?"
    (fact,) = question["facts"]
    assert fact["value"] == {"b": {"value": "0", "boot": 1}}
    assert fact["known"]
    assert fact["source"] == "Replica"
    assert fact["taken_at"].startswith("2026-01-05T")
    assert question["missing"] == {"dba": 1, "lead": 1}


def test_the_requester_never_counts(play: Play) -> None:
    play.world.hosts["b"].state |= WELL["b"]
    own = play.request(GATE, by="dba-1")
    assert play.drive(own) is None
    play.stage.say(own, "dba-1", "yes")
    play.stage.say(own, "lead-1", "yes")
    assert play.drive(own) is None
    assert play.world.moves == []
    assert "asked for this run" in play.log(own, "decision.refused")[0].data["value"]


def test_break_glass_needs_an_incident_of_level_1_and_leaves_a_review(play: Play) -> None:
    run = waiting(play, incident="INC-7")
    play.turn(run, "dba-1 breaks the glass")
    assert play.drive(run) is RunState.succeeded
    (review,) = play.log(run, "review.due")
    assert review.data["value"]["broke_glass"] == "dba-1"
    assert review.data["value"]["people"] == 2


def test_out_of_time_is_logged_when_it_escalates(play: Play) -> None:
    run = waiting(play, LATER)
    play.turn(run, "time")
    assert play.drive(run) is None
    assert len(play.log(run, "gate.escalated")) == 1
    assert play.store.view(run).wake_at is None


@pytest.mark.parametrize(("minutes", "end"), [(9, RunState.succeeded), (11, RunState.expired)])
def test_a_yes_that_comes_too_late_does_not_open_a_closed_gate(play: Play, minutes: int, end: RunState) -> None:
    """However long the node was down: what counts is when it was said."""
    run = waiting(play)
    play.clock.sleep(60 * minutes)
    play.turn(run, "dba-1 yes")
    play.turn(run, "lead-1 yes")
    play.clock.sleep(3600)
    assert play.drive(run) is end


def insert(play: Play, run: str, decision: Decision) -> None:
    """Write a row past every check, as somebody with the database's password could."""
    values = {**vars(decision), "card": dict(decision.card)}
    with play.store.engine.begin() as connection:
        connection.execute(decisions.insert().values(run=run, **values))


FORGERIES = ["unsigned", "another's key", "another run", "another answer", "another plan"]


def forged(play: Play, run: str, answer: str, forgery: str) -> Decision:
    """A row that says ``answer``, and what stands behind it."""
    view = play.store.view(run)
    asked = view.question
    assert asked is not None
    about = dataclasses.replace(
        view,
        id="r-20260105-zzzz" if forgery == "another run" else view.id,
        digest="0" * 64 if forgery == "another plan" else view.digest,
    )
    signs = {"yes": "no", "done": "stop"}.get(answer, answer) if forgery == "another answer" else answer
    if answer == "cancel" and forgery != "another answer":
        card = play.stage.make_card("cancel", about.id, about.digest, "dba-1", "")
    else:
        card = play.stage.card(about, asked, "dba-1", signs)
    question = "cancel" if answer == "cancel" else asked["id"]
    row = play.stage.signed(question, answer, card, by="guest-1" if forgery == "another's key" else "")
    return dataclasses.replace(row, signature="") if forgery == "unsigned" else row


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("answer", ["yes", "done", "cancel"])
def test_a_forged_row_is_ignored_and_logged(play: Play, answer: str, forgery: str) -> None:
    text = DOUBT if answer == "done" else GATE.replace("by: {dba: 1, lead: 1}", "by: {dba: 1}")
    run = play.prepare(Case("", text, WELL, faults=UNKNOWN if answer == "done" else {}))
    assert play.drive(run) is None
    insert(play, run, forged(play, run, answer, forgery))
    moves = play.moves()
    if (answer, forgery) == ("yes", "another answer"):
        # A gate counts the signed card, whatever the row says: this is a no, and not the yes of the row.
        assert play.drive(run) is RunState.rejected
        return
    assert play.drive(run) is None
    assert play.moves() == moves
    assert len(play.log(run, "decision.refused")) == 1


def test_a_request_that_nobody_signed_is_refused(play: Play) -> None:
    run = play.prepare(Case("", DOUBT))
    journal = play.store.claim(run, "node-1")
    forged = dataclasses.replace(journal.request(), signature="")
    with play.store.engine.begin() as connection:
        connection.execute(runs.update().where(runs.c.id == run).values(request=decision_to_json(forged)))
    assert play.drive(run) is RunState.refused
    assert play.world.moves == []
    assert "the request does not hold" in play.store.view(run).summary["why"]


def change(play: Play, statement: sa.Executable) -> None:
    with play.store.engine.begin() as connection:
        connection.execute(statement)


def test_a_noted_grant_is_no_proof_of_one(play: Play) -> None:
    run = waiting(play)
    granted = {"by": ["dba-1", "lead-1"], "why": "", "broke_glass": None}
    change(play, memos.insert().values(run=run, key="gate.granted:1", value=granted))
    change(play, runs.update().where(runs.c.id == run).values(parked=False))
    assert play.drive(run) is None
    assert play.world.moves == []


def test_the_requester_is_who_signed_whatever_the_row_says(play: Play) -> None:
    play.world.hosts["b"].state |= WELL["b"]
    run = play.request(GATE, by="dba-1")
    assert play.drive(run) is None
    change(play, runs.update().where(runs.c.id == run).values(requester="guest-1"))
    play.stage.say(run, "dba-1", "yes")
    play.stage.say(run, "lead-1", "yes")
    assert play.drive(run) is None
    assert play.world.moves == []


def test_the_incident_is_the_signed_one_whatever_the_row_says(play: Play) -> None:
    run = waiting(play)
    change(play, runs.update().where(runs.c.id == run).values(incident="INC-7", level=1))
    play.stage.say(run, "dba-1", "yes", reason="now", break_glass=True)
    assert play.drive(run) is None
    assert play.world.moves == []


def test_who_may_not_run_is_refused_and_who_may_not_decide_is_not_heard(play: Play) -> None:
    run = play.request(DOUBT, by="guest-1")
    assert play.drive(run) is RunState.refused
    run = play.prepare(Case("", DOUBT, faults=UNKNOWN))
    assert play.drive(run) is None
    play.turn(run, "guest-1 done")
    assert play.drive(run) is None
    play.turn(run, "guest-1 cancels")
    assert play.drive(run) is None


def test_a_requester_who_left_after_the_first_change_does_not_make_it_refused(play: Play) -> None:
    run = waiting(play, LATER)
    del play.world.signatories["duty-1"]
    assert play.drive(run) is RunState.rolled_back
    assert play.moves() == "a service=stopped, a service=started"


def test_cancelled_before_it_began(play: Play) -> None:
    run = play.request(DOUBT)
    play.turn(run, "duty-1 cancels")
    assert play.drive(run) is RunState.cancelled
    assert play.world.moves == []


@pytest.mark.parametrize("patient", [False, True])
def test_a_cancel_ends_what_is_at_work_unless_it_must_not(play: Play, patient: bool) -> None:
    run = play.request(DOUBT.replace("stopped},", "stopped}, interrupt: never,") if patient else DOUBT)
    at_work = Fault(takes=60, lost="running", then=lambda _: play.turn(run, "duty-1 cancels"))
    play.world.hosts["a"].fault("1[a]", at_work)
    before = play.clock.monotonic()
    assert play.drive(run) is RunState.cancelled
    assert (play.clock.monotonic() - before >= 60) is patient
    assert play.moves() == "a service=stopped, a service=started"


BACK = """
    on_failure: rollback
    steps:
      - {name: One, hosts: a, set: {one: 1}, undo: {set: {one: 0}, idempotent: true}}
      - {name: Two, hosts: a, set: {two: 1}, undo: {set: {two: 0}, idempotent: true}}
      - {name: Three, hosts: a, set: {three: 1}}
"""


@pytest.mark.parametrize("people", [1, 2])
def test_one_cancel_does_not_stop_a_rollback_and_two_do(play: Play, people: int) -> None:
    run = play.request(BACK)

    def cancel(_: Host) -> None:
        play.clock.sleep(1)
        for person in ("duty-1", "dba-1")[:people]:
            play.turn(run, f"{person} cancels")

    play.world.hosts["a"].fault("3[a]", Fault(rc=1))
    play.world.hosts["a"].fault("2[a]!undo", Fault(then=cancel))
    end = play.drive(run)
    there = "a one=1, a two=1, a three=1, a two=0"
    if people == 1:
        assert (end, play.moves()) == (RunState.rolled_back, there + ", a one=0")
    else:
        assert (end, play.moves()) == (RunState.rollback_failed, there)
        (left,) = play.store.view(run).summary["left"]
        assert left["step"] == "1[a]#1"
        assert "two people" in left["why"]


def test_a_decision_stands_in_the_log_with_its_signature(play: Play) -> None:
    run = waiting(play)
    play.turn(run, "dba-1 yes")
    with play.store.engine.connect() as connection:
        stored = connection.execute(sa.select(decisions.c.signature).where(decisions.c.run == run)).scalar_one()
    assert play.log(run, "decision")[0].data["signature"] == stored
