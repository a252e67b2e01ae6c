"""Keys and deputies with their times, as a run that lasts meets them; and words that were given elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hisauto.audit.canonical import dumps
from hisauto.model.person import Deputising, Limits
from hisauto.model.run import RunState
from hisauto.store.schema import decisions

from .play import Play
from .test_people import DOUBT, GATE, UNKNOWN, WELL, insert

TWO_GATES = """
    steps:
      - {name: First, approve: {question: Begin?, by: {dba: 1}, within: 10m}}
      - {name: Stop, hosts: a, set: {service: stopped}}
      - {name: Second, approve: {question: Go on?, by: {lead: 1}, within: 10h}}
      - {name: Then, hosts: a, set: {then: 1}}
"""
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=1)
"""More than the millisecond to which the record keeps time."""


def waiting(play: Play, text: str = GATE, incident: str | None = None) -> str:
    """A run that waits for its gate."""
    run = play.prepare(text, WELL, incident=incident)
    assert play.drive(run) is None
    return run


@contextmanager
def changed(play: Play, person: str, **change: Any) -> Iterator[None]:
    """This person as ``hisauto.yml`` has them from now on; the next test finds them as they were."""
    signatory = play.world.signatories[person]
    before = signatory.person
    if "limits" in change:
        change["limits"] = {before.keys[0]: change["limits"]}
    signatory.person = replace(before, **change)
    try:
        yield
    finally:
        signatory.person = before


SILENT: dict[str, tuple[Callable[[datetime], Limits], str]] = {
    "revoked": (lambda _: Limits(revoked="2026-11-01"), "was revoked (2026-11-01)"),
    "expired": (lambda now: Limits(until=now - MOMENT), "expired at"),
    "not valid yet": (lambda now: Limits(since=now + HOUR), "is not valid before"),
}


@pytest.mark.parametrize("silent", SILENT)
@pytest.mark.parametrize("answer", ["yes", "done", "cancel"])
def test_a_word_by_a_key_that_does_not_speak_is_refused_and_logged(play: Play, silent: str, answer: str) -> None:
    text = DOUBT if answer == "done" else GATE.replace("by: {dba: 1, lead: 1}", "by: {dba: 1}")
    run = play.prepare(text, {"b": {"lag": "0"}}, UNKNOWN if answer == "done" else {})
    assert play.drive(run) is None
    moves, (limits, why) = play.moves(), SILENT[silent]
    with changed(play, "dba-1", limits=limits(play.clock.now())):
        assert play.stage.cancel(run, "dba-1") if answer == "cancel" else play.stage.say(run, "dba-1", answer)
        assert play.drive(run) is None
    assert play.moves() == moves
    (noted,) = play.log(run, "decision.refused")
    assert why in str(noted.data)


def test_a_request_by_a_revoked_key_is_refused(play: Play) -> None:
    run = play.request(DOUBT)
    with changed(play, "duty-1", limits=Limits(revoked="2026-11-01")):
        assert play.drive(run) is RunState.refused
    assert "was revoked" in play.store.view(run).summary["why"]
    assert play.world.moves == []


def test_a_key_that_expires_on_the_way_stops_nothing_that_it_had_signed(play: Play) -> None:
    """Neither the request nor a yes: a run that has changed something is not left half-way because of the hour."""
    run = play.request(TWO_GATES)
    end = Limits(until=play.clock.now() + HOUR)
    with changed(play, "duty-1", limits=end), changed(play, "dba-1", limits=end):
        assert play.drive(run) is None
        play.turn(run, "dba-1 yes")
        assert play.drive(run) is None
        play.clock.sleep(2 * 3600)
        play.turn(run, "lead-1 yes")
        assert play.drive(run) is RunState.succeeded
    assert play.log(run, "decision.refused") == []


def test_a_key_that_expires_before_anything_was_changed_refuses_its_request(play: Play) -> None:
    run = waiting(play, TWO_GATES.replace("10m", "10h"))
    with changed(play, "duty-1", limits=Limits(until=play.clock.now() + HOUR)):
        play.clock.sleep(2 * 3600)
        play.turn(run, "dba-1 yes")
        assert play.drive(run) is RunState.refused
    assert play.world.moves == []


def test_a_deputy_says_yes_and_it_stays_one_when_their_time_is_over(play: Play) -> None:
    run = play.request(TWO_GATES)
    begun = play.clock.now() - MOMENT
    held = Deputising(frozenset({"dba"}), begun, begun + HOUR)
    with changed(play, "guest-1", deputising=(held,)):
        assert play.drive(run) is None
        assert "guest-1" in play.store.view(run).question["who"]  # type: ignore[index]
        play.turn(run, "guest-1 yes")
        assert play.drive(run) is None
        assert play.moves() == "a service=stopped"
        play.clock.sleep(2 * 3600)
        play.turn(run, "lead-1 yes")
        assert play.drive(run) is RunState.succeeded


def test_a_deputy_whose_time_is_over_is_not_heard(play: Play) -> None:
    run = waiting(play, TWO_GATES.replace("10m", "10h"))
    now = play.clock.now()
    with changed(play, "guest-1", deputising=(Deputising(frozenset({"dba"}), now - HOUR, now - MOMENT),)):
        play.turn(run, "guest-1 yes")
        assert play.drive(run) is None
    assert play.world.moves == []
    assert "none of the roles dba" in str(play.log(run, "decision.refused")[0].data)


def test_a_yes_is_not_one_on_another_run(play: Play) -> None:
    """The same question of the same runbook, twice: the row is copied, signature and all."""
    first, second = (waiting(play, TWO_GATES.replace("hosts: a", f"hosts: {host}")) for host in ("a", "b"))
    play.turn(first, "dba-1 yes")
    with play.store.engine.connect() as connection:
        row = connection.execute(sa.select(decisions).where(decisions.c.run == first)).one()
    (said,) = play.store.decisions(first)
    insert(play, second, said)
    assert row.person == "dba-1"
    assert play.drive(second) is None
    assert play.moves() == ""
    assert "of run" in str(play.log(second, "decision.refused")[0].data)
    assert play.drive(first) is None
    assert play.moves() == "a service=stopped"


def test_one_key_does_not_speak_for_two(play: Play) -> None:
    """The card says lead-1, and dba-1's key signed it."""
    run = waiting(play)
    play.turn(run, "dba-1 yes")
    view = play.store.view(run)
    card = play.stage.card(view, view.questions[0], "lead-1", "yes")
    insert(play, run, play.stage.signed("gate:1", "yes", card, by="dba-1"))
    assert play.drive(run) is None
    assert play.moves() == ""
    assert "made with another key" in str(play.log(run, "decision.refused")[0].data)


@pytest.mark.parametrize("break_glass", [False, True])
def test_openssh_verifies_each_word_as_the_log_has_it(play: Play, tmp_path: Path, break_glass: bool) -> None:
    """The request, a yes and a cancel, with nothing but ssh-keygen and the people's public keys."""
    run = waiting(play, incident="INC-7")
    if break_glass:
        play.turn(run, "dba-1 breaks the glass")
    else:
        play.turn(run, "dba-1 yes")
        play.turn(run, "duty-1 cancels")
    people = play.world.people.values()
    signers = "".join(f'{p.id} namespaces="hisauto" {p.keys[0]}\n' for p in people)
    (tmp_path / "signers").write_text(signers)
    said = [e.data for e in play.store.entries(run=run) if e.kind in ("run.requested", "decision")]
    words = [data.get("request", data) for data in said]
    assert len(words) == (2 if break_glass else 3)
    for word in words:
        message = dumps(word["card"])
        (tmp_path / "sig").write_text(word["signature"])
        for text, good in ((message, True), (message.replace(run.encode(), b"r-20260105-zzzz"), False)):
            verify = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", word["person"], "-n", "hisauto", "-s", "sig"]
            done = subprocess.run(verify, cwd=tmp_path, input=text, capture_output=True, check=False)
            assert (done.returncode == 0) == good, done.stderr
