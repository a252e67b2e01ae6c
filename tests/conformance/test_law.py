"""Every sentence of the law is shown by a case, or by a test that is there; and the page is what is made of it."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache

import pytest

from . import law

SENTENCES = law.sentences(law.SOURCE.read_text())
IDS = {sentence.id for sentence in SENTENCES}


def test_each_sentence_has_an_id_of_its_own() -> None:
    assert [name for name, times in Counter(s.id for s in SENTENCES).items() if times > 1] == []


def test_each_sentence_is_shown() -> None:
    shown = law.shown_by()
    assert [f"{law.SOURCE.name}:{s.line}: {s.id}: {s.text}" for s in SENTENCES if s.id not in shown] == []


def test_each_case_shows_a_sentence_that_is_there() -> None:
    every = [case for cases in law.cases().values() for case in cases]
    assert {case.case: [name for name in case.covers if name not in IDS] for case in every if not case.covers} == {}
    assert {name for case in every for name in case.covers} - IDS == set()


def test_no_two_cases_have_one_name() -> None:
    names = Counter(case.case for cases in law.cases().values() for case in cases)
    assert [name for name, times in names.items() if times > 1] == []


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((law.ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("name", "node"), [(name, node) for name, nodes in law.tests().items() for node in nodes])
def test_a_test_that_shows_a_sentence_is_there(name: str, node: str) -> None:
    path, _, function = node.partition("::")
    assert name in IDS
    assert function in functions_in(path)


def test_the_page_is_up_to_date() -> None:
    assert law.PAGE.read_text() == law.page(law.SOURCE.read_text(), law.shown_by()), "make law"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("One thing.[^a] And another.", "no id after: And another."),
        ("One thing. And another.[^a]", "two sentences, and one id: One thing."),
        ("- An item without one", "no id after"),
        ("| a | b |\n|---|---|\n| c | d[^a] and e |", "no id after"),
    ],
)
def test_what_is_said_without_an_id_is_found(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        law.sentences(text)
