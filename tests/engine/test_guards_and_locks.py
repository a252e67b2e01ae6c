"""What is looked at again before the first change, and who waits for whom."""

from __future__ import annotations

from hisauto.model.run import RunState
from hisauto.store.schema import runs
from hisauto.testing.hosts import Fault

from .play import Play

GATED = """
    hosts:
      writer: {pattern: db, where: {look: writer, expect: value == 'yes'}, exactly: 1}
    guards:
      - {name: Is dark, hosts: a, look: up, expect: value == 'no', register: seen}
    steps:
      - {name: Agree, approve: {question: Go on?, by: {dba: 1}, within: 10m}}
      - {name: Stop, hosts: writer, set: {service: "{{ seen.value }}"}}
    always:
      - {name: Tell, set: {told: "{{ run.end }}"}}
"""
STOP = """
    steps:
      - {name: Stop, hosts: %s, batch: 1, set: {service: stopped}}
"""


def gated(play: Play) -> str:
    play.world.hosts["a"].state |= {"writer": "yes", "up": "no"}
    play.world.hosts["b"].state |= {"writer": "no"}
    run = play.request(GATED)
    assert play.drive(run) is None
    return run


def test_guards_are_taken_anew_when_an_earlier_drive_took_them_and_changed_nothing(play: Play) -> None:
    """A node that died between its look and the first change proves nothing of an hour later."""
    run = gated(play)
    play.turn(run, "dba-1 yes")
    play.world.hosts["a"].fault("2[a]", Fault(no_space=True))
    journal = play.store.claim(run, "node-1")
    journal.note("guards:change", journal.recall("guards"), kind="guards")
    play.world.hosts["a"].state["up"] = "yes"
    assert play.drive(run) is RunState.refused


def test_a_run_waits_for_all_its_locks_and_says_for_whom(play: Play) -> None:
    first, second, third = (play.request(STOP % hosts) for hosts in ("a", "db", "b"))
    journal = play.store.claim(first, "node-1")
    journal.move(RunState.locking)
    journal.take_locks(["host:a"])
    assert play.drive(second) is None
    view = play.store.view(second)
    assert view.state is RunState.locking
    assert view.question is not None
    assert view.question["for"] == {"host:a": first}
    assert play.drive(third) is RunState.succeeded  # the one that waits for a holds b no less than a
    assert play.drive(first) is RunState.succeeded
    assert second in play.store.awake()
    assert play.drive(second) is RunState.succeeded


def test_a_run_that_never_held_its_locks_changes_nothing_at_its_end(play: Play) -> None:
    first = play.request(STOP % "a")
    journal = play.store.claim(first, "node-1")
    journal.move(RunState.locking)
    journal.take_locks(["host:a"])
    after = """
    always:
      - {name: Sweep, hosts: a, set: {swept: "yes"}}
      - {name: Tell, notify: {to: [dba], text: "{{ run.end }}"}}
"""
    second = play.request(STOP % "a" + after)
    assert play.drive(second) is None
    play.turn(second, "duty-1 cancels")
    assert play.drive(second) is RunState.cancelled
    assert "swept" not in play.world.hosts["a"].state
    assert play.drive(first) is RunState.succeeded


def test_a_run_is_not_driven_by_two(play: Play) -> None:
    """A frozen node that wakes up writes nothing and starts nothing."""
    run = play.request(STOP % "a")
    play.store.claim(run, "node-1")
    assert play.drive(run) is RunState.succeeded
    with play.store.engine.connect() as connection:
        assert connection.execute(runs.select().where(runs.c.id == run)).one().epoch == 2


def test_what_may_be_touched_is_locked_and_what_is_only_looked_at_is_not(play: Play) -> None:
    text = """
    params: {where: {type: group, default: db}}
    locks: [app]
    steps:
      - {name: Look, hosts: app1, look: up, changes: false}
      - {name: One, hosts: "{{ params.where }}", batch: 1, set: {one: 1}, undo: {set: {one: 0}, hosts: app4}}
    """
    look = "    steps:\n      - {name: Look, hosts: all, look: up}\n"
    named = play.store.plan(play.request(text))["locks"]
    assert named == ["host:a", "host:app1", "host:app2", "host:app3", "host:app4", "host:b", "lock:app"]
    without = play.store.plan(play.request(text.replace("locks: [app]", "locks: []")))["locks"]
    assert without == ["host:a", "host:app4", "host:b"]
    assert play.store.plan(play.request(look))["locks"] == []
