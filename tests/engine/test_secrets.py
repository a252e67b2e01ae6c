"""Secrets in a run: only where an action takes them, asked for before anything is touched, on no record."""

from __future__ import annotations

import json

import pytest

from hisauto.errors import HisautoError, Invalid, NotFound
from hisauto.model.run import RunState
from hisauto.store.schema import metadata
from hisauto.testing.hosts import Fault

from .play import Play

SECRET = "c4n4ry'£\"/+ of the night"
USE = """
    params: {login: {type: secret, default: night}}
    steps:
      - {name: One, hosts: a, set: {token: "{{ secrets.db }}", plain: "yes"}, register: one,
         undo: {set: {token: "{{ secrets.login }}"}, idempotent: true}}
      - {name: Two, hosts: b, set: {token: "{{ secrets.login }}"}}
    on_failure: rollback
"""


@pytest.fixture
def site(play: Play) -> Play:
    play.world.kept |= {"db": SECRET, "night": "another-one-for-the-night", "day": "not asked for"}
    return play


def record(play: Play) -> str:
    """Everything that is in the database."""
    with play.store.engine.connect() as connection:
        rows = [list(map(str, row)) for table in metadata.sorted_tables for row in connection.execute(table.select())]
    return json.dumps(rows, ensure_ascii=False)


def test_they_reach_their_hosts_and_no_record(site: Play) -> None:
    run = site.request(USE)
    assert site.drive(run) is RunState.succeeded
    assert site.world.hosts["a"].state["token"] == SECRET
    assert site.world.hosts["b"].state["token"] == "another-one-for-the-night"
    plan = site.store.plan(run)
    assert plan["secrets"] == {"db": "db", "login": "night"}
    assert plan["params"] == {"login": "night"}
    for part in ("c4n4ry", "of the night", "another-one"):
        assert part not in record(site)
    intents = [a.intent for a in site.store.attempts(run)]
    assert [i["action"]["fields"]["token"] for i in intents] == ["********", "********"]
    assert intents[0]["action"]["fields"]["plain"] == "yes"


def test_a_masked_undo_is_rendered_anew(site: Play) -> None:
    run = site.request(USE)
    site.world.hosts["b"].fault("2[b]", Fault(rc=1))
    assert site.drive(run) is RunState.rolled_back
    assert site.world.hosts["a"].state["token"] == "another-one-for-the-night"
    assert "another-one" not in record(site)


def _dies(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_masked_attempt_is_taken_up_by_another_drive(site: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node dies after the intent and before anything was sent; the next one has to render it again."""
    run = site.request(USE)
    with monkeypatch.context() as patch:
        patch.setattr("hisauto.engine.attempt.Attempter.finish", _dies)
        with pytest.raises(KeyboardInterrupt):
            site.drive(run)
    assert "token" not in site.world.hosts["a"].state
    assert site.drive(run) is RunState.succeeded
    assert site.world.hosts["a"].state["token"] == SECRET


def test_what_a_host_says_of_it_is_masked_for_people_and_for_other_steps(site: Play) -> None:
    site.world.hosts["a"].state["seen"] = f"token={SECRET}"
    run = site.request("""
    guards:
      - {name: What is there, hosts: a, look: seen, expect: value != none, register: seen}
    steps:
      - {name: Use, hosts: a, set: {token: "{{ secrets.db }}"}}
      - {name: Agree, approve: {question: "{{ seen.value }}?", facts: [seen], by: {dba: 1}, within: 1h}}
      - {name: Look, hosts: a, look: token, expect: value == 'x'}
    """)
    assert site.drive(run) is None
    question = site.store.view(run).question
    assert question is not None
    assert question["question"] == "token=********?"
    assert site.through(run, ["dba-1 yes"]) is RunState.failed
    assert "c4n4ry" not in record(site)


def test_one_that_is_not_there_refuses_before_anything_is_touched(site: Play) -> None:
    run = site.request(USE)
    site.world.kept["night"] = ""
    assert site.drive(run) is RunState.refused
    assert site.world.moves == []
    assert "the secret 'night' can't be had" in site.store.view(run).summary["why"]


def test_one_that_is_too_short_to_be_masked_refuses(site: Play) -> None:
    run = site.request(USE)
    site.world.kept["db"] = "12345"
    assert site.drive(run) is RunState.refused
    why = site.store.view(run).summary["why"]
    assert "the secret 'db' is shorter than 6 characters" in why
    assert "12345" not in why


def test_one_that_is_gone_in_mid_run_breaks_the_drive_off_and_changes_nothing(site: Play) -> None:
    first = """    steps:
      - {name: First, hosts: a, set: {x: 1}}
      - {name: Agree, approve: {question: Go on?, by: {dba: 1}, within: 1h}}
"""
    run = site.request(USE.replace("    steps:\n", first))
    assert site.drive(run) is None
    site.world.kept["db"] = ""
    site.turn(run, "dba-1 yes")
    with pytest.raises(HisautoError, match="the secret 'db' can't be had"):
        site.drive(run)
    site.world.kept["db"] = SECRET
    assert site.drive(run) is RunState.succeeded


def test_an_unknown_one_is_refused_by_the_plan(site: Play) -> None:
    with pytest.raises(NotFound, match="no secret 'bd'") as raised:
        site.request(USE.replace("secrets.db", "secrets.bd"))
    assert raised.value.hint == "known: day, db, night"
    with pytest.raises(NotFound, match="no secret 'nigt'"):
        site.request(USE.replace("default: night", "default: nigt"))


@pytest.mark.parametrize(
    "step",
    [
        '{name: One, hosts: a, set: {plain: "{{ secrets.db }}"}}',
        '{name: One, hosts: a, set: {x: 1}, when: secrets.db == ""}',
        '{name: One, notify: {to: dba, text: "{{ secrets.db }}"}}',
        '{name: One, approve: {question: "{{ secrets.db }}", by: {dba: 1}}}',
        '{name: One, hosts: a, set: {token: "{{ secrets | tojson }}"}}',
    ],
)
def test_one_that_would_be_seen_is_refused_by_the_plan(site: Play, step: str) -> None:
    with pytest.raises(Invalid, match="secret"):
        site.request(f"    steps:\n      - {step}\n")


def test_plans_ask_for_none_that_no_look_needs(site: Play) -> None:
    site.world.kept["db"] = site.world.kept["night"] = ""
    site.stage.plan("runbook: x\nversion: 1.0.0\ntitle: x\nkind: drill\nowner: x\n" + USE.replace("\n    ", "\n"))
