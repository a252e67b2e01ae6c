"""The catalogs: whole, in step with the source, in the glossary's terms, and found again from what was said."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.cli.language import ENGLISH, LANGUAGES
from hisauto.cli.translation import Catalog, entries
from l10n.catalog import path_of, updated

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
ROOT = Path(__file__).parents[2]
DO = "run `make messages` and translate what it lists"
WIDE = re.compile(r"[\u4e00-\u9fff]")
PROSE = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")


@cache
def kept(language: str) -> dict[str, str]:
    return dict(entries(path_of(language).read_text(encoding="utf-8")))


def slots(text: str) -> set[str]:
    return {name for _, name, *_ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_it_is_whole_and_in_step_with_the_source(language: str) -> None:
    text, missing = updated(language)
    assert missing == [], DO
    assert path_of(language).read_bytes() == text, DO


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_has_the_slots_of_its_message(language: str) -> None:
    assert [english for english, said in kept(language).items() if slots(english) != slots(said)] == []


def test_chinese_is_chinese_and_punctuated_so() -> None:
    bad = {said for said in kept("zh").values() if PROSE.search(said) and not WIDE.search(said)}
    bad |= {said for said in kept("zh").values() if re.search(r"[\u4e00-\u9fff][,;:?!]", said)}
    assert bad == set()


def terms() -> list[tuple[str, str, list[str]]]:
    """English, Chinese, and what is not said for it."""
    text = (ROOT / "docs" / "glossary.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([^|]*[\u4e00-\u9fff][^|]*) \|([^|]*)\|", text, re.M)[1:]
    return [(english, said, [word for word in avoided.strip().split("、") if word]) for english, said, avoided in rows]


def test_the_glossarys_words_are_used_and_no_others() -> None:
    said = "\n".join([*kept("zh").values(), (ROOT / "README.zh.md").read_text()])
    assert len(terms()) > 30
    for english, term, avoided in terms():
        assert any(word in said for word in re.split(r"[、（）]", term) if word), english
        for word in avoided:
            assert word not in said, f"{english} is {term}, not {word}"


DATA = st.text("abcxyz0189_-", min_size=1, max_size=12)
ZH = Catalog(kept("zh"))
TEMPLATES = sorted(english for english in kept("zh") if slots(english))


def values_of(template: str, text: str) -> dict[str, str] | None:
    """The values with which the template makes this text, as far as they have no spaces in them."""
    pattern = "".join(re.escape(literal) + (f"(?P<{name}>[^ ]+?)" if name else "")
                      for literal, name, *_ in Formatter().parse(template))  # fmt: skip
    found = re.fullmatch(pattern, text)
    return found.groupdict() if found else None


@given(data=st.data(), english=st.sampled_from(TEMPLATES))
def test_what_a_template_says_is_said_by_its_translation(data: st.DataObject, english: str) -> None:
    """The law: whatever values it was made with, a message becomes its translation, with the same values in it."""
    told = english.format(**{name: data.draw(DATA) for name in sorted(slots(english))})
    # Where several templates can make the same text, each one's translation is right.
    right = {kept("zh")[t].format(**values) for t in TEMPLATES if (values := values_of(t, told)) is not None}
    assert ZH.translate(told) in right


@given(data=st.data(), english=st.sampled_from([t for t in TEMPLATES if slots(t) == {"why"}]))
def test_a_reason_inside_is_translated_too(data: st.DataObject, english: str) -> None:
    reason = data.draw(st.sampled_from(["the connection was lost", "it ran out of time", "not shown: no_log"]))
    said = ZH.translate(english.format(why=reason))
    assert kept("zh")[reason] in said and reason not in said
