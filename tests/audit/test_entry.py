"""Entries: canonical, chained, and only what can be read back the same."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.audit import entry
from hisauto.audit.merkle import GENESIS, Head
from hisauto.errors import Broken, Invalid

AT = "2026-11-23T03:00:00.000Z"
SAFE = 2**53 - 1
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)
DATA = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=5)


def made(data: dict[str, Any], head: Head | None = None) -> entry.Entry:
    return entry.make(head or Head(), AT, "run.queued", "r-1", "dba-1", data)


def test_the_bytes_and_the_hash_are_these() -> None:
    one = made({"z": 1.0, "a": ["é", None, True], "\u20ac": 1e21})
    raw = (
        '{"actor":"dba-1","at":"2026-11-23T03:00:00.000Z","data":{"a":["é",null,true],"z":1,"€":1e+21},'
        f'"kind":"run.queued","prev":"{GENESIS}","run":"r-1","seq":0}}'
    ).encode()
    assert entry.canonical(one) == raw
    assert one.hash == hashlib.sha256(raw).hexdigest()


def test_each_entry_names_the_one_before() -> None:
    first = made({})
    head = Head().append(first.raw)
    second = made({}, head)
    assert (first.seq, second.seq) == (0, 1)
    assert (first.prev, second.prev) == (GENESIS, first.hash)


@given(DATA)
def test_what_is_read_back_is_the_same(data: dict[str, Any]) -> None:
    one = made(data)
    again = entry.from_json(json.loads(one.raw))
    assert again == one
    assert again.raw == one.raw


def test_an_entry_is_not_changed_through_what_it_was_made_of() -> None:
    data: dict[str, Any] = {"hosts": ["db1"]}
    one = made(data)
    before = one.hash
    data["hosts"].append("db2")
    assert one.data == {"hosts": ["db1"]}
    assert entry.from_json(entry.to_json(one)).hash == before


def deep() -> dict[str, Any]:
    bottom: dict[str, Any] = {}
    for _ in range(100_000):
        bottom = {"a": bottom}
    return bottom


@pytest.mark.parametrize(
    "data",
    [
        {"x": math.nan},
        {"x": math.inf},
        {"x": 2**53},
        {"x": 1e16},  # a float that is written as an integer which nobody reads back safely
        {"x": b"bytes"},
        {"x": {1, 2}},
        {"x": object()},
        {1: "x"},
        {"x": "\ud800"},
        {"\ud800": "x"},
        deep(),
    ],
    ids=["nan", "inf", "2**53", "1e16", "bytes", "set", "object", "int key", "surrogate", "surrogate key", "deep"],
)
def test_what_is_not_json_is_refused(data: dict[Any, Any]) -> None:
    with pytest.raises(Invalid):
        made(data)


@pytest.mark.parametrize("field", ["at", "kind", "actor"])
def test_fields_have_their_types(field: str) -> None:
    arguments: dict[str, Any] = {"at": AT, "kind": "k", "actor": "dba-1", "run": None, "data": {}} | {field: None}
    with pytest.raises(Invalid, match=field):
        entry.make(Head(), **arguments)


@pytest.mark.parametrize(
    "change", [{"seq": True}, {"seq": "0"}, {"data": []}, {"prev": None}, {"run": 1}, {"extra": 1}], ids=str
)
def test_a_stored_entry_of_another_form_is_refused(change: dict[str, Any]) -> None:
    stored = entry.to_json(made({}))
    assert entry.from_json(stored)
    with pytest.raises(Broken):
        entry.from_json(stored | change)


def test_a_stored_entry_without_a_field_is_refused() -> None:
    with pytest.raises(Broken):
        entry.from_json({"seq": 0})
