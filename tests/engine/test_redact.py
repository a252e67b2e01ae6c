"""No spelling of a secret gets through, whole or in pieces."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.redact import MASK, SHORTEST, Redactor, spellings

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "URL": lambda s: quote(s, safe=""),
    "path": quote,
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON, UTF-8": lambda s: json.dumps(s, ensure_ascii=False),
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)),
    "shell": shlex.quote,
    "shell, traced": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "SQL": lambda s: "'" + s.replace("'", "''") + "'",
    "HTML": html.escape,
    "Python": repr,
}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
SECRET = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=SHORTEST, max_size=40)


@pytest.mark.parametrize("name", SPELLINGS)
@given(secret=SECRET, before=TEXT, after=TEXT)
def test_no_spelling_gets_through(name: str, secret: str, before: str, after: str) -> None:
    spell = SPELLINGS[name]
    masked = Redactor(secret).text(spell(before + secret + after))
    assert MASK in masked
    if "base64" in name:  # a letter at each end depends on what stands beside the secret
        hidden = len(spell(before + secret + after)) - len(masked.replace(MASK, ""))
        assert 6 * hidden >= 8 * len(secret.encode()) - 10
    else:
        assert spell(secret).strip("'\"\\") not in masked


@given(secret=SECRET, before=TEXT, after=TEXT, cuts=st.lists(st.integers(0, 60), max_size=5))
def test_what_comes_in_pieces_is_masked_as_if_it_came_whole(
    secret: str, before: str, after: str, cuts: list[int]
) -> None:
    text, redactor = before + secret + after, Redactor(secret)
    held, shown = "", ""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for start, end in pairwise(places):
        held += text[start:end]
        whole = redactor.whole(held)
        shown += redactor.text(held[:whole])
        held = held[whole:]
    assert shown + redactor.text(held) == redactor.text(text)


@given(text=TEXT)
def test_what_is_no_beginning_of_a_secret_is_not_held_back(text: str) -> None:
    redactor = Redactor("\N{SNOWMAN}\N{SNOWMAN}\N{SNOWMAN}-secret")
    if not any(spelling.startswith(text[-1:]) for spelling in spellings("\N{SNOWMAN}\N{SNOWMAN}\N{SNOWMAN}-secret")):
        assert redactor.whole(text) == len(text)


def test_each_line_of_a_secret_with_several_counts() -> None:
    key = "-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG\nAAAA\n-----END KEY-----"
    masked = Redactor(key).text("key:\r\n  -----BEGIN KEY-----\r\n  MIIBVgIBADANBgkqhkiG\r\n")
    assert "MIIB" not in masked


def test_of_two_secrets_the_longer_leaves_nothing_of_itself() -> None:
    redactor = Redactor("password")
    redactor.learn("password-of-night")
    assert redactor.text("is password-of-night.") == f"is {MASK}."


def test_values_are_masked_with_their_keys() -> None:
    value = {"x-s3cret-x": ["s3cret", 3, None, True, {"a": ("s3cret",)}]}
    assert Redactor("s3cret").value(value) == {f"x-{MASK}-x": [MASK, 3, None, True, {"a": [MASK]}]}
    assert Redactor("short").value({"short": 1}) == {"short": 1}
