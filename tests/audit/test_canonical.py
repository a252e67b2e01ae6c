"""Canonical JSON: the quick way and ``rfc8785`` are never of two minds, and what is not canonical is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from hisauto.audit import canonical
from hisauto.errors import Broken, Invalid

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def standard(value: Any) -> bytes | None:
    try:
        return rfc8785.dumps(value)
    except ValueError:
        return None


@given(VALUES)
@example({"\U00010000": 1, "\uffff": 2})
@example([1e21, 1e16, 1e15, 1e14, 123456.75, 1e-4, 9.9e-5, 1e-7, -0.0, 0.1, 5e-324])
@example([2**53 - 1, -(2**53) + 1])
@example(['\x7f\x80\u2028\b\f\n\r\t\x00\x1f"\\/'])
def test_it_writes_what_the_standard_says(value: Any) -> None:
    expected = standard(value)
    if expected is None:
        with pytest.raises(Invalid):
            canonical.dumps(value)
    else:
        assert canonical.dumps(value) == expected
        try:
            again = standard(json.loads(expected))
        except ValueError:
            again = None
        if again == expected:
            assert canonical.loads(expected) == json.loads(expected)
        else:  # such as 1e16, which reads as an integer that nobody reads safely
            with pytest.raises(Broken):
                canonical.loads(expected)


@given(VALUES, st.data())
def test_it_reads_nothing_that_is_not_canonical(value: Any, data: st.DataObject) -> None:
    raw = json.dumps(value, ensure_ascii=data.draw(st.booleans()), sort_keys=data.draw(st.booleans()),
                     separators=data.draw(st.sampled_from([(",", ":"), (", ", ": ")]))).encode()  # fmt: skip
    try:
        canonical.loads(raw)
    except Broken:
        assert standard(json.loads(raw)) != raw
    else:
        assert standard(json.loads(raw)) == raw


@pytest.mark.parametrize(
    "raw", [b"", b"NaN", b"-0", b"1.0", b"1e5", b"01", b'{"a":1,"a":1}', b'"\\u0041"', b'"\\ud800"', b"\xff", b"[1,]",
            b" 1", b"[" * 100_000, b"9007199254740993", b'{"b":1,"a":2}', b"Infinity", b'"\\/"']
)  # fmt: skip
def test_other_spellings_are_refused(raw: bytes) -> None:
    with pytest.raises(Broken):
        canonical.loads(raw)


@pytest.mark.parametrize(
    "value", [{1: "x"}, {True: 1}, {None: 1}, b"x", {1, 2}, float("nan"), 2**53, "\ud800"], ids=repr
)
def test_what_json_can_not_hold_is_refused(value: Any) -> None:
    with pytest.raises(Invalid):
        canonical.dumps(value)


def test_a_list_may_be_a_tuple() -> None:
    assert canonical.dumps({"a": (1, 2)}) == b'{"a":[1,2]}'
