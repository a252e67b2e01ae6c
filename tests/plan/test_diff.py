"""What differs between two plans, part by part."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto import actions
from hisauto.plan.diff import differences
from hisauto.plan.plan import Plan
from hisauto.runbook.digest import content_digest
from hisauto.runbook.loader import read_runbook
from hisauto.runbook.rules.rule import HEAD, STEPS

RUNBOOK = read_runbook((HEAD + STEPS).encode(), "example.yml", actions.load())
BLOBS = {hashlib.sha256(data).hexdigest(): data for data in (b"a\nb\n", b"a\nc\n", b"\xff", b"")}
OLD, NEW, BINARY, EMPTY = BLOBS


def plan(**changes: Any) -> Plan:
    given = {
        "site": "s", "runbook": RUNBOOK, "runbook_digest": content_digest(RUNBOOK), "params": {"x": 1},
        "hosts": {"db": ("db1", "db2")}, "locks": ("lock:db",), "files": {"roles/r/a": OLD}, "people": "p",
    }  # fmt: skip
    return Plan.model_validate(given | changes)


@pytest.mark.parametrize(
    ("changes", "part", "lines"),
    [
        ({"site": "t"}, "site", ["-s", "+t"]),
        ({"people": "q"}, "people", ["-p", "+q"]),
        ({"params": {"x": 2}}, "params", ["-x: 1", "+x: 2"]),
        ({"hosts": {"db": ("db1", "db3")}}, "hosts", ["-- db2", "+- db3"]),
        ({"locks": ()}, "locks", ["-- lock:db", "+[]"]),
        ({"files": {"roles/r/a": NEW}}, "files", ["-b", "+c"]),
        ({"files": {}}, "files", ["-a", "-b"]),
        ({"files": {"roles/r/a": BINARY}}, "files", [f"{OLD} -> {BINARY}"]),
        ({"files": {"roles/r/a": OLD, "roles/r/b": EMPTY}}, "files", [f"none -> {EMPTY}"]),
        ({"runbook_digest": "another"}, "runbook_digest", [f"-{content_digest(RUNBOOK)}", "+another"]),
    ],
)  # fmt: skip
def test_each_part_is_shown(changes: dict[str, Any], part: str, lines: list[str]) -> None:
    (found,) = differences(plan(), plan(**changes), BLOBS.__getitem__)
    assert found.part == part
    assert [x for x in found.lines if not x.startswith(("---", "+++", "@@", " "))] == lines


def test_another_runbook_is_said_once() -> None:
    other = read_runbook((HEAD.replace("1.0.0", "2.0.0") + STEPS).encode(), "example.yml", actions.load())
    (found,) = differences(plan(), plan(runbook=other, runbook_digest=content_digest(other)), BLOBS.__getitem__)
    assert found.part == "runbook" and "+version: 2.0.0" in found.lines


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "site": st.sampled_from("st"), "people": st.sampled_from("pq"), "locks": st.lists(st.sampled_from("ab")),
        "params": st.dictionaries(st.sampled_from("xy"), st.integers(0, 1)),
        "files": st.dictionaries(st.sampled_from(["roles/r/a", "roles/r/b"]), st.sampled_from([OLD, NEW, BINARY])),
    },
)  # fmt: skip


@given(FIELDS, FIELDS)
def test_nothing_differs_exactly_when_the_digest_is_the_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    found = differences(plan(**a), plan(**b), BLOBS.__getitem__)
    assert (found == []) is (plan(**a).digest == plan(**b).digest)
    assert all(one.lines for one in found)
