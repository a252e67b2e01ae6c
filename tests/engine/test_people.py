"""Gates, decisions and cancels: whose word counts, and what it does. ``docs/semantics.md``, *Gates* and *Rollback*."""

from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from hisauto.model.run import Decision, RunState
from hisauto.store.rows import decision_to_json
from hisauto.store.schema import decisions, memos, runs
from hisauto.testing.hosts import Fault, Host

from .play import Play

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
WELL = {"b": {"lag": "0"}}
DOUBT = """
    steps:
      - {name: Stop, hosts: a, set: {service: stopped}, undo: {set: {service: started}, idempotent: true}}
      - {name: Then, hosts: a, set: {then: 1}}
"""
UNKNOWN = {"a 1[a]#1": Fault(lost="answer", then=Host.wipe)}

def waiting(play: Play) -> str:
    """A run that waits for its gate."""
    run = play.prepare(GATE, WELL)
    assert play.drive(run) is None
    return run


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
    run = play.prepare(text, WELL, UNKNOWN if answer == "done" else {})
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
    run = play.prepare(DOUBT)
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
    run = play.prepare(DOUBT, faults=UNKNOWN)
    assert play.drive(run) is None
    play.turn(run, "guest-1 done")
    assert play.drive(run) is None
    play.turn(run, "guest-1 cancels")
    assert play.drive(run) is None


BACK = """
    on_failure: rollback
    steps:
      - {name: One, hosts: a, set: {one: 1}, undo: {set: {one: 0}, idempotent: true}}
      - {name: Two, hosts: a, set: {two: 1}, undo: {set: {two: 0}, idempotent: true}}
      - {name: Three, hosts: a, set: {three: 1}}
"""


def test_an_undo_waits_for_its_host_without_an_attempt_for_each_look(play: Play) -> None:
    run = play.request(BACK)
    play.world.hosts["a"].fault("3[a]", Fault(rc=1, then=lambda host: host.away(300)))
    assert play.drive(run) is RunState.rolled_back
    assert [path for path in play.states(run) if "!undo" in path] == ["2[a]!undo#1", "1[a]!undo#1"]


def test_a_cancel_finds_out_what_a_dead_drive_left_at_work(play: Play) -> None:
    """The next drive comes to the cancel before it comes to the step."""
    run = play.request(DOUBT)
    journal = play.store.claim(run, "node-1")
    play.world.hosts["a"].fault("1[a]", Fault(lost="answer", then=killed))
    with pytest.raises(KeyboardInterrupt):
        play.drive(run, journal)
    assert play.states(run) == {"1[a]#1": "started"}
    play.turn(run, "duty-1 cancels")
    assert play.drive(run) is RunState.cancelled
    assert play.moves() == "a service=stopped, a service=started"


def killed(_: Host) -> None:
    raise KeyboardInterrupt


def test_a_decision_stands_in_the_log_with_its_signature(play: Play) -> None:
    run = waiting(play)
    play.turn(run, "dba-1 yes")
    with play.store.engine.connect() as connection:
        stored = connection.execute(sa.select(decisions.c.signature).where(decisions.c.run == run)).scalar_one()
    assert play.log(run, "decision")[0].data["signature"] == stored
