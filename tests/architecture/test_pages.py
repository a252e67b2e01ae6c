"""The law's words are the code's: states, ends and fates that a page names exist, and none is left out."""

from __future__ import annotations

import re

import pytest

from hisauto.model.run import ENDS, AttemptState, RunState
from hisauto.model.transport import Fate

from .modules import ROOT

SEMANTICS = (ROOT / "docs" / "semantics.md").read_text()


def section(title: str) -> str:
    """From a heading to the next."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", SEMANTICS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/semantics.md has no section {title!r}"
    return found[1]


def firsts(text: str) -> set[str]:
    """The words in backticks in the first column of a table."""
    return {word for cell in re.findall(r"^\|(.+?)\|", text, re.MULTILINE) for word in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("title", "there"),
    [
        ("An attempt: a step on one host", {s.value for s in AttemptState}),
        ("Receipts: the host remembers", {f.value for f in Fate}),
        ("A run", {s.value for s in ENDS}),
    ],
)
def test_the_table_has_them_all(title: str, there: set[str]) -> None:
    assert firsts(section(title)) == there


def test_the_way_of_a_run_has_every_state() -> None:
    assert {s.value for s in RunState} <= set(re.findall(r"`(\w+)`", section("A run")))
