# ruff: noqa: E501  (tables: a case is easier to read on its own line)
"""The table of rules proves itself: each example triggers its rule and nothing else, and its cure is silent."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest
from pydantic import BaseModel

from hisauto.errors import NotFound
from hisauto.model.action import Action
from hisauto.model.problems import Problem, render
from hisauto.plan.pins import Sources
from hisauto.runbook.rules import RULES, explain
from hisauto.runbook.rules.rule import HEAD, Rule
from hisauto.site.site import runbooks_of
from tests.runbook.reading import GROUPS, HOSTS, check_text

ROOT = Path(__file__).parents[2]
OF_A_SITE = {"HA127", "HA129", "HA132"}
"""They take more than one file's text; ``tests/cli/test_looking.py`` has them."""
STEP = "steps:\n  - name: Mask\n    hosts: db1\n    command: systemctl mask his\n"


def told(text: str) -> list[Problem]:
    site = {"groups": GROUPS, "hosts": HOSTS, "secrets": {"his_db"}, "windows": {"night"}}
    return check_text(text.encode(), "example.yml", **site, pin=pin)[1]


def pin(action: Action, fields: BaseModel) -> None:
    """A site with one role, and every file that is asked for."""
    if set(action.needs(fields).roles) - {"web"}:
        raise NotFound("there is no such role")


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.code not in OF_A_SITE], ids=lambda r: r.code)
def test_an_example_triggers_its_rule_alone_and_its_cure_is_silent(rule: Rule) -> None:
    found = told(rule.text(rule.bad))
    assert {(p.code, p.severity) for p in found} == {(rule.code, rule.severity)}, "\n".join(map(render, found))
    assert [render(p) for p in told(rule.text(rule.cured))] == []


@pytest.mark.parametrize("path", runbooks_of(ROOT / "runbooks"), ids=lambda path: path.stem)
def test_our_own_runbooks_are_clean(path: Path) -> None:
    sources = Sources(path.parent, [ROOT / "roles"])
    _, problems = check_text(path.read_bytes(), path.name, pin=sources.pin)
    assert [render(p) for p in problems] == []


def test_every_code_that_is_said_has_a_rule() -> None:
    parts = ["hisauto/runbook/*.py", "hisauto/model/yamltext.py", "hisauto/checks.py"]
    texts = [path.read_text() for part in parts for path in ROOT.glob(part)]
    said = {code for text in texts for code in re.findall(r'"(HA[01]\d{2})"', text)}
    assert said == RULES.keys()


def test_every_rule_says_why_in_sentences() -> None:
    for rule in RULES.values():
        assert (rule.reason[0].isupper() or rule.reason[0] == "`") and rule.reason[-1] in ".)", rule.code
        assert not rule.title.endswith("."), rule.code


def test_the_page_is_made_of_the_table() -> None:
    assert (ROOT / "docs/lint.md").read_text() == explain("all"), "make it again: hisauto check --explain all"


def test_one_rule_is_explained() -> None:
    text = explain("ha104")
    assert text.startswith("## HA104\n\nError: several actions in one step.") and "Cured:" in text
    with pytest.raises(NotFound, match="no rule 'HA999'"):
        explain("HA999")


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        # An undo that looks by itself
        (STEP + "    undo: {copy: {dest: /x, content: y}}\n", set()),
        (STEP + "    undo: {copy: {dest: /x, content: y}, idempotent: true}\n", set()),
        (STEP + "    undo: {command: x}\n", {"HA150"}),
        (STEP, {"HA152"}),
        (STEP + "    accept: {HA152: it is unmasked by hand}\n", set()),
        ("accept: {HA152: all of it is mended by hand}\n" + STEP, set()),
        (STEP + "    accept: {HA153: another one}\n", {"HA152", "HA159"}),
        (STEP + "    accept: {HA101: an error}\n", {"HA152", "HA159"}),
        # Inside of what accepts it
        ("steps:\n  - name: Block\n    accept: {HA152: why}\n" + indent(STEP, "    "), set()),
        # Who needs no way back
        (STEP + "    idempotent: true\n", set()),
        ("on_failure: rollback\n" + STEP + "    idempotent: true\n", {"HA152"}),
        (STEP + "    idempotent: true\n    on_failure: rollback\n", {"HA152"}),
        (STEP + "    done_when: {command: uptime -s, expect: stdout != before.stdout}\n", set()),
        ("steps:\n  - {name: Look, command: uptime, changes: no}\nalways:\n" + STEP.removeprefix("steps:\n"), set()),
        # A look that can't fail
        ("guards:\n  - {command: uptime, expect: rc == 0 or true}\n", {"HA153"}),
        ("params: {x: {default: a}}\nguards:\n  - {command: uptime, expect: params.x == 'a'}\n", {"HA153"}),
        ("guards:\n  - {hosts: his_db, command: uptime, at_least: 0}\n", {"HA153"}),
        ("guards:\n  - {shell: \"true; exit 0\", expect: \"'x' in stdout\"}\n", set()),
        ("hosts:\n  x: {pattern: app, where: {command: uptime, expect: 1 == 1}}\n", {"HA153"}),
        ("steps:\n  - {name: Look, command: uptime, changes: no, expect: not false}\n", {"HA153"}),
        # A done_when that looks elsewhere
        (STEP + "    idempotent: true\n    done_when: {expect: run.id != ''}\n", {"HA154"}),
        (STEP + "    idempotent: true\n    done_when: {command: systemctl mask his}\n", {"HA154"}),
        ("steps:\n  - {name: R, hosts: db1, shell: reboot, idempotent: true, done_when: {command: uptime}}\n", {"HA154"}),
        (STEP.replace("mask his", "mask his-reboot") + "    idempotent: true\n    done_when: {command: uptime}\n", set()),
    ],
)  # fmt: skip
def test_when_it_warns(text: str, codes: set[str]) -> None:
    rule = RULES["HA152"]
    found = told(rule.text(text))
    assert {p.code for p in found} == codes, "\n".join(map(render, found))


FENCE = RULES["HA157"].bad
SIDES = "hosts: app, sql"


@pytest.mark.parametrize(
    ("sides", "seen"),
    [
        ("db1", True), ("app", True), ("'app:!db1'", True), ("watchers", False), ("everybody", True), ("all", False),
        ("'{{ hosts.watchers }}'", False), ("'app,db_proxy'", False),
    ],
)  # fmt: skip
def test_a_fence_is_seen_from_two_sides(sides: str, seen: bool) -> None:
    names = "hosts: {watchers: 'db_proxy:app', everybody: app}\n"
    found = told(HEAD + names + FENCE.replace(SIDES, f"hosts: {sides}, sql"))
    assert ({p.code for p in found} == {"HA157"}) is seen, "\n".join(map(render, found))


def test_a_power_controller_is_a_side_of_its_own() -> None:
    done = "done_when: {power: status, expect: state == 'off'}"
    assert told(HEAD + re.sub("done_when: {hosts: app, sql.*}", done, FENCE)) == []


def test_a_warning_waits_until_there_is_no_error() -> None:
    assert {p.code for p in told(HEAD + STEP + "    expect: nonsense == 1\n")} == {"HA111"}
