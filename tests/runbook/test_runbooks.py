"""Whole runbooks: what is made of the YAML, and the laws that hold for every one of them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hisauto.errors import Invalid
from hisauto.runbook.calls import unrendered
from hisauto.runbook.digest import content_digest
from hisauto.runbook.documents import HostSet, Retries, Runbook
from hisauto.runbook.loader import read_runbook
from hisauto.runbook.rules.rule import HEAD, STEPS
from hisauto.runbook.schema import json_schema
from tests.runbook.bad import BAD
from tests.runbook.reading import ACTIONS, GROUPS, HOSTS, check_text

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.yml"))
assert SAMPLES


def read(text: str) -> Runbook:
    return read_runbook(text.encode(), "x.yml", ACTIONS)


@cache
def validator() -> Draft202012Validator:
    schema = json_schema(ACTIONS)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def told(value: Any) -> list[str]:
    return [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator().iter_errors(value)]


class Editor(yaml.SafeLoader):
    """YAML 1.2 as editors read it: numbers, true and false are typed, ``on`` and ``no`` are text."""


Editor.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith(":bool")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Editor.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def reread(runbook: Runbook) -> Runbook:
    return Runbook.model_validate(json.loads(json.dumps(runbook.model_dump(mode="json", by_alias=True))))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_good_by_every_judge(path: Path) -> None:
    runbook, problems = check_text(path.read_bytes(), path.name, groups=GROUPS, hosts=HOSTS)
    assert problems == []
    assert runbook is not None
    assert reread(runbook) == runbook
    assert told(yaml.load(path.read_text(), Editor)) == [], "as an editor reads it"
    assert told(yaml.load(path.read_text(), yaml.BaseLoader)) == [], "as we read it: all scalars text"


def test_what_is_made_of_a_runbook() -> None:
    runbook = read_runbook((SAMPLES[0].parent / "database-failover.yml").read_bytes(), "x.yml", ACTIONS)
    assert runbook.title == {"zh": "数据库主备切换", "en": "Fail the HIS database over to its standby"}
    assert (runbook.answers, runbook.objectives.rto, runbook.objectives.rpo) == ((1, 2), 300.0, 0.0)
    standby = runbook.hosts["standby"]
    assert standby.where is not None and standby.where.action is not None
    assert standby.where.action.model_dump() == {
        "kind": "sql",
        "fields": {"query": "select pg_is_in_recovery() as standby"},
    }
    assert runbook.hosts["proxies"] == HostSet(pattern="db_proxy")
    gate, fence, promote, point = runbook.steps
    assert gate.approve is not None and gate.approve.by == {"dba_lead": 1, "duty_manager": 1}
    assert fence.ways is not None and fence.block == fence.ways
    stop, cut = fence.ways
    assert stop.done_when is not None and stop.done_when.action is not None
    assert stop.done_when.action.fields == {"on": "primary", "query": "select 1"}
    assert (stop.done_when.holds, stop.within, stop.done_when.hosts) == (5.0, 20.0, "proxies:clients")
    assert cut.action is not None and cut.action.fields == {"verb": "off"}
    assert promote.action is not None and promote.action.fields["argv"][0] == "pg_ctlcluster"
    assert (point.batch, point.vars) == (("1", "100%"), {"backend": "{{ hosts.standby }}"})


def test_shorthands() -> None:
    runbook = read(HEAD + "hosts: {a: app}\nlocks: app\nanswers: 1\n" + STEPS + "    retries: 3\n    batch: 25%\n")
    assert runbook.title == {"en": "An example"}
    assert (runbook.hosts["a"], runbook.locks, runbook.answers) == (HostSet(pattern="app"), ("app",), (1,))
    assert (runbook.steps[0].retries, runbook.steps[0].batch) == (Retries(times=3), ("25%",))


def test_scalars_stay_what_they_look_like() -> None:
    text = HEAD + "params: {a: {default: 000102}, b: {default: 1.10}, c: {default: 22:00}, d: {default: no}}\n" + STEPS
    assert [p.default for p in read(text).params.values()] == ["000102", "1.10", "22:00", "no"]


def test_a_field_that_waits_for_its_template() -> None:
    step = "steps:\n  - name: a\n    http: {url: x, timeout: '{{ params.t }}', method: POST}\n"
    runbook = read(HEAD + "params: {t: {type: duration, default: 5s}}\n" + step)
    call = runbook.steps[0].action
    assert call is not None and call.fields == {"url": "x", "timeout": "{{ params.t }}", "method": "POST"}
    http = ACTIONS["http"]
    assert http.changes(unrendered(http, call.fields), "look") is True
    assert reread(runbook) == runbook


def test_a_template_does_not_excuse_the_fields_beside_it() -> None:
    with pytest.raises(Invalid) as caught:
        read(HEAD + "steps:\n  - name: a\n    http: {url: x, timeout: '{{ params.t }}', method: FETCH}\n")
    assert [(p.line, "method" in p.message) for p in caught.value.problems] == [(8, True)]
    with pytest.raises(Invalid):
        unrendered(ACTIONS["http"], {"timeout": "{{ params.t }}"})


def test_the_digest_is_of_the_content() -> None:
    first = read(HEAD + STEPS)
    same = read("# a comment\n" + HEAD.replace("An example", "'An example'") + "on_failure: stop\n" + STEPS)
    assert content_digest(first) == content_digest(same) == content_digest(reread(first))
    assert content_digest(first) == "71b351cbb0c355f6ea3158572f7a734c92f045fa7c080a34b11b307f0d9193e3"
    for old, new in (("1.0.0", "1.0.1"), ("uptime", "date"), ("changes: no", "timeout: 5s")):
        assert content_digest(read((HEAD + STEPS).replace(old, new))) != content_digest(first)


FORMLESS = [bad for bad in BAD if bad.code in ("HA101", "HA102", "HA104", "HA105") and "as for a program" not in bad.id]


@pytest.mark.parametrize("bad", FORMLESS, ids=lambda bad: bad.id)
def test_the_schema_sees_what_is_wrong_with_the_form(bad: Any) -> None:
    assert told(yaml.safe_load(bad.text.replace("▸", "")))


# Laws

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="'"), min_size=1, max_size=12
).filter(str.strip)
# Of what is no word of a shell, tests/runbook/bad.py has its own cases.
WORDS = TEXT.filter(lambda text: not set(text) & set("\"\\'"))
DURATION = st.builds("{}{}".format, st.integers(0, 999), st.sampled_from(["s", "m", "h"]))
ACTION = st.one_of(
    st.builds(lambda t: {"command": t}, WORDS),
    st.builds(lambda t, on: {"sql": {"query": t, "on": on}}, TEXT, TEXT),
    st.builds(lambda v: {"power": v}, st.sampled_from(["on", "off", "status"])),
    st.builds(lambda t: {"http": {"url": t, "from": "host"}}, TEXT),
)
PROBE = st.builds(
    lambda action, more: action | more,
    ACTION,
    st.fixed_dictionaries(
        {}, optional={"expect": TEXT, "holds": DURATION, "exactly": st.integers(0, 9), "hosts": TEXT}
    ),
)
MODIFIERS = st.fixed_dictionaries(
    {"name": TEXT},
    optional={
        "hosts": TEXT, "for_each": st.lists(TEXT, min_size=1, max_size=3), "when": TEXT,
        "within": DURATION, "timeout": DURATION, "retries": st.integers(0, 9),
        "idempotent": st.sampled_from(["yes", "no", "true", "false"]), "irreversible": TEXT, "done_when": PROBE,
        "batch": st.lists(st.one_of(st.integers(1, 99).map(str), st.integers(0, 100).map("{}%".format)), min_size=1),
        "unreachable": st.fixed_dictionaries({"go_on": TEXT}), "env": st.dictionaries(st.just("LC_ALL"), TEXT),
        "undo": st.builds(lambda action, done: action | {"done_when": done}, ACTION, PROBE),
    },
)  # fmt: skip
FOR_PEOPLE = st.one_of(
    st.builds(lambda t, more: {"manual": {"do": t, "by": "duty", **more}}, TEXT,
              st.fixed_dictionaries({}, optional={"evidence": TEXT})),
    st.builds(lambda t, more: {"approve": {"question": t, "by": {"duty": 1}, **more}}, TEXT,
              st.fixed_dictionaries({}, optional={"choices": st.just(["adopt", "leave"]), "within": DURATION})),
    st.builds(lambda t: {"runbook": "c-d", "with": {"x": t}}, TEXT),
)  # fmt: skip
STEP = st.recursive(
    st.builds(lambda words, action: words | action, MODIFIERS, st.one_of(ACTION, FOR_PEOPLE)),
    lambda inner: st.builds(
        lambda words, kind, steps: words | {kind: steps},
        MODIFIERS,
        st.sampled_from(["steps", "ways", "together"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
WRITTEN = st.builds(
    lambda head, steps: {"runbook": "a-b", "version": "1.0.0", "kind": "drill", **head, "steps": steps},
    st.fixed_dictionaries(
        {"title": TEXT, "owner": TEXT},
        optional={"guards": st.lists(PROBE, max_size=2), "locks": TEXT, "hosts": st.dictionaries(st.just("x"), TEXT)},
    ),
    st.lists(STEP, min_size=1, max_size=3),
)


@settings(max_examples=40)
@given(WRITTEN)
def test_every_runbook_reads_back_and_fits_the_schema(written: dict[str, Any]) -> None:
    runbook = read(yaml.safe_dump(written, allow_unicode=True))
    assert reread(runbook) == runbook
    assert content_digest(reread(runbook)) == content_digest(runbook)
    assert told(written) == []


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_runbook_or_invalid(text: bytes) -> None:
    with suppress(Invalid):
        read_runbook(text, "x.yml", ACTIONS)


MARKS = [
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "#",
    "&a ",
    "*a",
    "{{ ",
    " }}",
    "\t",
    "null",
    "~",
    "0",
    "-1",
    "1e9",
]
PIECES = st.one_of(st.text(max_size=4), st.sampled_from([*MARKS, "command: a", "done_when: ", "steps:"]))


@settings(max_examples=300)
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), min_size=1, max_size=4)
)
def test_a_damaged_runbook_is_checked_or_invalid(path: Path, edits: list[tuple[float, int, str]]) -> None:
    text = path.read_text()
    for place, cut, piece in edits:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + cut :]
    lines = text.count("\n") + 1
    runbook, problems = check_text(text.encode("utf-8", "replace"), "x.yml", groups=GROUPS, hosts=HOSTS)
    assert runbook is not None or problems
    assert all(p.file == "x.yml" and 0 <= p.line <= lines + 1 and p.message for p in problems)
