"""The words' types: what they take, what they make of it, and that they take it again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hisauto.runbook import types as t

GOOD: list[tuple[Any, Any, Any]] = [
    (t.Duration, "90s", 90.0), (t.Duration, "5m", 300.0), (t.Duration, "2h", 7200.0), (t.Duration, "10d", 864000.0),
    (t.Duration, "1.5s", 1.5), (t.Duration, "250ms", 0.25), (t.Duration, "1h30m", 5400.0), (t.Duration, "0s", 0.0),
    (t.Duration, 3, 3.0), (t.Duration, 0.5, 0.5),
    (t.Number, "0", 0), (t.Number, "007", 7), (t.Number, 3, 3),
    (t.Flag, "yes", True), (t.Flag, "no", False), (t.Flag, "True", True), (t.Flag, False, False),
    (t.Level, "1", 1), (t.Level, 4, 4), (t.Quorum, "2", 2),
    (t.Name, "his_db2", "his_db2"), (t.Slug, "database-failover", "database-failover"),
    (t.Version, "1.2.0", "1.2.0"), (t.Version, "0.2.0-rc.1", "0.2.0-rc.1"),
    (t.BatchSize, "1", "1"), (t.BatchSize, "25%", "25%"), (t.BatchSize, "100%", "100%"), (t.BatchSize, 3, "3"),
    (t.Text, "no", "no"), (t.Template, "", ""), (t.Pattern, "{{ params.x }}:!a", "{{ params.x }}:!a"),
    (t.Names, "a", ("a",)), (t.BatchSizes, ["1", "25%"], ("1", "25%")), (t.BatchSizes, 1, ("1",)),
    (t.Language, "zh", "zh"), (t.User, "postgres", "postgres"), (t.EnvName, "LC_ALL", "LC_ALL"),
]  # fmt: skip

REFUSED: dict[Any, list[Any]] = {
    t.Duration: ["", "5", "m", "1m1h", "1h1h", "-1s", "1e3s", "٣s", "4000d", True, -1, float("nan"), float("inf"),
                 None, [], "{{ x }}s"],
    t.Number: ["", "-1", "1.0", "٣", "1_000", "9" * 10, 1.5, True, -1, None, {}],
    t.Flag: ["", "on", "1", 1, 0, None],
    t.Level: ["0", "5", 0, 5, True, 1.0, "01"],
    t.Quorum: ["0", 0, "x"],
    t.Name: ["His", "1a", "a-b", "not", 1, "a\n", ""],
    t.Slug: ["a--b", "-a", "a/b", "../a"],
    t.Version: ["1.2", "01.2.3", "1.2.3\n", 1.0],
    t.BatchSize: ["101%", "%", "", 1.5, True],
    t.Text: [" ", 1],
    t.Otherwise: ["continue", []],
    t.User: ["a b", "-u"],
}  # fmt: skip
BAD = [(kind, value) for kind, values in REFUSED.items() for value in values]


@pytest.mark.parametrize(("kind", "given", "made"), GOOD)
def test_good(kind: Any, given: Any, made: Any) -> None:
    adapter = TypeAdapter(kind)
    value = adapter.validate_python(given)
    assert (value, type(value)) == (made, type(made))
    assert adapter.validate_python(adapter.dump_python(value, mode="json")) == value, "it takes its own JSON"


@pytest.mark.parametrize(("kind", "given"), BAD)
def test_bad(kind: Any, given: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(given)
    assert all(e["type"] == "value_error" for e in caught.value.errors()), "each has a message of its own"


@given(st.integers(0, 86399), st.integers(0, 999))
def test_durations_add_up(seconds: int, ms: int) -> None:
    text = f"{seconds // 3600}h{seconds // 60 % 60}m{seconds % 60}s{ms}ms"
    assert t.seconds(text) == pytest.approx(seconds + ms / 1000)
