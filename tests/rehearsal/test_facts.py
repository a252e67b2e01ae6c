"""Mistakes in a file of tests: each at its place, with what was expected."""

from __future__ import annotations

import pytest

from hisauto import actions
from hisauto.errors import Invalid
from hisauto.testing.rehearsal.facts import read_facts

GOOD = """\
hosts: {app: [app1]}
state: {app: {up: true}}
answers:
  - {command: look *, says: {rc: 0}}
effects:
  - {shell: app restart, then: {here.up: true}}
never:
  - {name: Down, expect: not app1.up}
tests:
  - {test: one}
"""
BAD = [
    ("hosts: {app: [app1]}\n", "", "1:1", "'hosts' is missing"),
    ("state: {app:", "state: {apps:", "2:9", "did you mean 'app'?"),
    ("says:", "say:", "4:23", "did you mean 'says'?"),
    ("command: look *", "comand: look *", "4:5", "no action is named here"),
    ("command: look *,", "command: look *, sql: select 1,", "4:5", "several actions: command, sql"),
    ("here.up: true", "here.on: true", "6:33", "no state has a variable 'on'"),
    ("here.up: true", "app2.up: true", "6:33", "did you mean 'app1'?"),
    ("not app1.up", "not app1.(", "8:26", "not a valid expression"),
    ("{test: one}", "{test: one, end: done}", "10:22", "succeeded"),
    ("- {test: one}", "- {test: one}\n  - {test: one}", "11:12", "'one' is there twice"),
    ("says: {rc: 0}", "says: {rc: '{{ 1 + }}'}", "4:34", "not a valid template"),
]


def test_a_good_one_is_read() -> None:
    facts, _ = read_facts(GOOD.encode(), "x.tests.yml", actions.load())
    assert facts.spread(facts.state) == {"app1": {"up": True}}
    assert facts.answers[0].sent.fields == {"argv": "look *"}


@pytest.mark.parametrize(("old", "new", "place", "said"), BAD, ids=[said for *_, said in BAD])
def test_a_mistake_is_named_at_its_place(old: str, new: str, place: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(Invalid) as raised:
        read_facts(GOOD.replace(old, new).encode(), "x.tests.yml", actions.load())
    found = [(f"{p.line}:{p.column}", f"{p.message} {p.hint}") for p in raised.value.problems]
    assert any(at == place and said in text for at, text in found), found
