# ruff: noqa: E501  (a table: a case is easier to read on its own line)
"""``fmt``: what it makes of a file, and the laws: nothing of the meaning or the comments is lost, twice is as once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hisauto import actions
from hisauto.errors import Invalid
from hisauto.runbook.digest import content_digest
from hisauto.runbook.documents import Doc
from hisauto.runbook.formatting import ACTION, ORDER, format_runbook
from hisauto.runbook.loader import read_runbook
from hisauto.runbook.rules.rule import HEAD, STEPS
from hisauto.site.site import runbooks_of
from tests.runbook.test_runbooks import SAMPLES, WRITTEN

ACTIONS = actions.load()
ROOT = Path(__file__).parents[2]
RUNBOOKS = [*runbooks_of(ROOT / "runbooks"), *SAMPLES]


def formatted(text: str) -> str:
    made = format_runbook(text.encode(), "x.yml", ACTIONS).decode()
    assert format_runbook(made.encode(), "x.yml", ACTIONS).decode() == made, "twice is as once"
    return made


CASES = {
    "words in their order": ("    done_when: {command: b}\n    command: a\n    hosts: db1\n",
                             "    hosts: db1\n    command: a\n    done_when: {command: b}\n"),
    "a comment goes with its word": ("    # about the look\n    done_when: {command: b}  # b\n    command: a # a\n",
                                     "    command: a  # a\n    # about the look\n    done_when: {command: b}  # b\n"),
    "indentation": ("    steps:\n    - name: In\n      command: a\n    -   name: Two\n        command: b\n",
                    "    steps:\n      - name: In\n        command: a\n      - name: Two\n        command: b\n"),
    "quotes": ("    command: 'echo a'\n    env: {A: 'say \"a\"', B: \"it's\", C: 'it''s \\'}\n",
               "    command: \"echo a\"\n    env: {A: 'say \"a\"', B: \"it's\", C: 'it''s \\'}\n"),
    "an escape stays": ('    command: "a\\tb"\n', '    command: "a\\tb"\n'),
    "spaces": ("    command:   a\n    env: { A : b,C: d }\n", "    command: a\n    env: {A: b, C: d}\n"),
    "too long for a line": (f"    command: [{', '.join(['word' * 5] * 6)}]\n",
                            "    command:\n" + f"      - {'word' * 5}\n" * 6),
    "a comment in brackets": ("    command: a\n    env: {A: b, # one\n          C: d} # two\n",
                              "    command: a\n    env:  # two\n      A: b  # one\n      C: d\n"),
    "text over lines": ("    shell: |\n       a\n         b\n\n       c\n    expect: rc == 0\n      and true\n",
                        "    shell: |\n      a\n        b\n\n      c\n    expect: rc == 0\n      and true\n"),
    "text that begins with spaces": ("    shell: |4\n          a\n        b\n", "    shell: |2\n        a\n      b\n"),
    "quoted over lines": ("    command: \"a\n   b\"\n", "    command: \"a\n      b\"\n"),
    "one empty line is enough": ("    command: a\n\n\n\n    expect: rc == 0\n", "    command: a\n\n    expect: rc == 0\n"),
    "a comment at the end of a step": ("    command: a\n    # no undo\n\n# the end\n",
                                       "    command: a\n    # no undo\n\n# the end\n"),
    "a comment above the first word": ("    undo:\n      # first\n      idempotent: yes\n      command: a\n    command: b\n",
                                       "    command: b\n    undo:\n      command: a\n      # first\n      idempotent: yes\n"),
    "anchors keep their order": ("    env: &e {A: b}\n    command: a\n    undo: {env: *e, command: c}\n",
                                 "    env: &e {A: b}\n    command: a\n    undo: {env: *e , command: c}\n"),
    "free names keep their order": ("    command: a\n    env: {Z: a, A: b}\n", "    command: a\n    env: {Z: a, A: b}\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_of_it(case: str) -> None:
    given, made = (f"{HEAD}steps:\n  - name: Do it\n{part}" for part in CASES[case])
    assert formatted(given) == made


def test_the_head_and_the_parts_of_a_runbook() -> None:
    lines = HEAD.splitlines(keepends=True)
    text = "---\n# about all\n" + "hosts:\n    # theirs\n    a: {exactly: 1, pattern: db1}\n" + "".join(reversed(lines)) + STEPS
    made = formatted(text.replace("\n", "\r\n"))
    hosts = "# about all\nhosts:\n  # theirs\n  a: {pattern: db1, exactly: 1}\n"
    assert made == HEAD + hosts + STEPS


def test_a_mistake_is_said_and_nothing_made() -> None:
    with pytest.raises(Invalid, match="unknown word 'comand'"):
        formatted(HEAD + "steps:\n  - {name: a, comand: b}\n")


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_our_own_runbooks_are_formatted(path: Path) -> None:
    assert formatted(path.read_text()) == path.read_text(), "hisauto fmt"


def test_the_order_names_words_that_there_are() -> None:
    for model, order in ORDER.items():
        assert issubclass(model, Doc)
        words = {info.alias or name for name, info in model.model_fields.items()}
        assert set(order) - words == set(), model.__name__
        assert len(set(order)) == len(order)
        assert (ACTION in order) is (ACTION in words)


# Laws

COMMENT = st.tuples(st.floats(0, 1), st.integers(0, 12), st.booleans())


def commented(text: str, places: list[tuple[float, int, bool]]) -> str:
    """With comments on lines of their own, and behind others. Not all of that is still a runbook."""
    lines = text.split("\n")[:-1]
    for n, (place, indent, alone) in enumerate(places):
        at = int(place * len(lines))
        if alone:
            lines.insert(at, " " * indent + f"# comment {n}" + "\n" * (indent % 3))
        elif at < len(lines) and lines[at].strip():
            lines[at] += f" # comment {n}"
    return "\n".join(lines) + "\n"


def holds(text: str) -> None:
    """Digest and comments are kept, or the file is none."""
    try:
        before = read_runbook(text.encode(), "x.yml", ACTIONS)
    except Invalid:
        assume(False)
    made = formatted(text)
    assert content_digest(read_runbook(made.encode(), "x.yml", ACTIONS)) == content_digest(before)
    assert sorted(re.findall(r"# comment \d+", made)) == sorted(re.findall(r"# comment \d+", text))
    assert re.search(r": [|>]", made) or not re.search(r"[ \t]\n|\n\n\n", made)


@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
@given(WRITTEN, st.sampled_from([None, True, False]), st.integers(20, 200), st.sampled_from([None, "'", '"', ">", "|"]),
       st.integers(2, 6), st.lists(COMMENT, max_size=6))  # fmt: skip
def test_every_runbook_keeps_its_meaning_and_its_comments(
    written: dict[str, Any], flow: bool | None, width: int, quotes: Any, indent: int, places: Any
) -> None:
    text = yaml.safe_dump(
        written, allow_unicode=True, default_flow_style=flow, width=width, default_style=quotes, indent=indent
    ).replace('"!!', '"')
    holds(commented(text, places))


@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.sampled_from(RUNBOOKS), st.lists(COMMENT, min_size=1, max_size=8))
def test_comments_anywhere_in_our_runbooks_are_kept(path: Path, places: Any) -> None:
    holds(commented(path.read_text(), places))
