# ruff: noqa: E501  (a table: a case is easier to read on its own line)
"""What a plan with runbooks in it holds, and what it refuses."""

from __future__ import annotations

import pytest

from hisauto.errors import HisautoError, Refused

from .play import Play, written

RESTART = """
    params:
      where: {type: group}
      to: {default: "1"}
    hosts:
      those: "{{ params.where }}"
    guards:
      - {name: Not frozen, hosts: those, look: frozen, expect: value != 'yes', register: frozen}
    never:
      - {name: Both down, hosts: those, look: service, expect: value == 'down', at_least: 2}
    steps:
      - {name: Stop, hosts: those, batch: 1, set: {service: "{{ params.to }}"}, undo: {set: {service: "was {{ params.to }}"}, idempotent: true}, register: stopped}
      - {name: Note, hosts: those, batch: 1, set: {rc: "{{ stopped.rc }}"}}
    verify:
      - {name: Is served, hosts: a, look: served, expect: value != 'no'}
    always:
      - {name: Tell, set: {told: "{{ params.to }} {{ run.end }}"}}
"""
OUTER = """
    on_failure: rollback
    params: {to: {default: outer}}
    hosts: {those: app1}
    steps:
      - {name: First, hosts: those, set: {first: "{{ params.to }}"}, undo: {set: {first: 0}, idempotent: true}}
      - name: Restart the databases
        runbook: restart
        with: {where: db, to: "{{ params.to }}2"}
      - {name: Then, hosts: those, set: {then: "{{ hosts.those }}"}}
    always:
      - {name: Tell, set: {told: "{{ run.end }}"}}
"""
OTHERS = {"restart": RESTART}
HEAD = "runbook: case\nversion: 1.0.0\ntitle: A case\nkind: emergency\nowner: dba\n"


def test_a_plan_has_the_locks_of_its_parts_and_every_digest(play: Play) -> None:
    text = HEAD + OUTER.replace("\n    ", "\n")
    plan = play.stage.plan(text, others=written(OTHERS))
    assert {"host:a", "host:b", "host:app1"} <= set(plan.locks)
    assert plan.parts["2"].params == {"where": "db", "to": "outer2"}
    assert plan.parts["2"].hosts == {"those": ("a", "b")}
    other = play.stage.plan(text, others=written({"restart": OTHERS["restart"] + "    description: another\n"}))
    assert other.digest != plan.digest
    assert other.runbook_digest == plan.runbook_digest


def test_the_same_version_of_a_part_with_another_content_is_refused(play: Play) -> None:
    play.request(OUTER, others=OTHERS)
    with pytest.raises(Refused, match=r"restart 1\.0\.0 is on record with the content"):
        play.request(OUTER + "    description: x\n", others={"restart": OTHERS["restart"] + "    description: y\n"})


STEP = "steps:\n  - {name: In, runbook: other}\n"
WRONG = [
    ("a cycle", STEP, "case → other → case: a runbook can't be a step of itself"),
    ("a parameter that it doesn't have", "steps:\n  - {name: In, runbook: restart, with: {wher: db}}\n", "no parameter 'wher'"),
    ("a parameter that it needs", "steps:\n  - {name: In, runbook: restart}\n", "needs the parameter 'where'"),
    ("for hosts", "steps:\n  - {name: In, runbook: other, hosts: db, batch: 1}\n", "can't be a unit's"),
    ("in a unit", "steps:\n  - name: Each\n    for_each: [a]\n    steps:\n      - {name: In, runbook: other}\n", "can't be a unit's"),
    ("in always", "steps:\n  - {name: A, hosts: a, set: {b: 1}}\nalways:\n  - {name: In, runbook: other}\n", "nor in always"),
    ("for hosts and items", "steps:\n  - {name: A, hosts: a, for_each: [x], set: {b: 1}}\n", "not for both"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), [(text, why) for _, text, why in WRONG], ids=[name for name, *_ in WRONG])
def test_what_can_not_be_planned_is_refused(play: Play, text: str, why: str) -> None:
    others = {**written(OTHERS), "other": HEAD.replace("case", "other") + STEP.replace("other", "case"), "case": HEAD + text}
    with pytest.raises(HisautoError, match=why):
        play.stage.plan(HEAD + text, others=others)
