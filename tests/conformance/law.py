"""The law's sentences, and the page that is made of them with the cases that show each.

``semantics.md`` beside this file is the source: after each sentence, or part of one, stands its id as ``[^id]``;
``[^-]`` where nothing is claimed. ``python -m tests.conformance.law`` writes ``docs/semantics.md``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from hisauto.testing.cases import Case, Site, read_cases

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCE = HERE / "semantics.md"
PAGE = ROOT / "docs" / "semantics.md"
WIDTH = 120
NOTE = "<!-- Made by `make law` from tests/conformance/semantics.md: change that, not this. -->"
SHOWN = """\
## What shows it

Each sentence, by its first words, with the cases that show it: they stand in `tests/conformance/cases`
([what they are](testing.md)). What only real hosts, real signatures or several runs can show has a test of its own.

| sentence | cases, tests |
|---|---|
"""
_MARK = re.compile(r"\[\^([\w.-]+)\]")
_TWO = re.compile(r"[.] (?=[A-Z`*])")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Sentence:
    """One claim of the law."""

    id: str
    text: str
    line: int


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Headings, paragraphs, items of lists and rows of tables, each with the line on which it begins."""
    begun, found = 0, ""
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if found and (not line or line.startswith(("- ", "|", "#")) or found.startswith(("|", "#"))):
            yield begun, found
            found = ""
        if line:
            begun, found = (begun, f"{found} {line.strip()}") if found else (number, line)


def sentences(text: str) -> list[Sentence]:
    """All claims, in order. Raises ``ValueError`` naming the line where text has no id, or one id stands for two."""
    found = []
    for line, block in blocks(text):
        head = block.startswith("#") or (block.startswith("|") and not _MARK.search(block))
        *parts, rest = _MARK.split(block)
        if re.search(r"\w", rest) and not head:
            raise ValueError(f"{SOURCE.name}:{line}: no id after: {rest.strip()[-60:]}")
        for said, name in zip(parts[::2], parts[1::2], strict=True):
            plain = said.strip(" -|·").replace(" | ", ": ")
            if _TWO.search(_CODE.sub("`", plain)):
                raise ValueError(f"{SOURCE.name}:{line}: two sentences, and one id: {plain[:60]}")
            if name != "-":
                found.append(Sentence(name, plain, line))
    return found


def read_site() -> Site:
    """The hospital on which all cases are played."""
    return Site.model_validate(yaml.safe_load((HERE / "site.yml").read_text()))


def cases() -> dict[str, tuple[Case, ...]]:
    """Every case, by its file."""
    site = read_site()
    return {
        path.stem: read_cases(path.read_bytes(), str(path.relative_to(ROOT)), site)[1]
        for path in sorted((HERE / "cases").glob("*.yml"))
    }


def tests() -> dict[str, list[str]]:
    """Sentence → tests that show it, for what no case can."""
    found: dict[str, list[str]] = yaml.safe_load((HERE / "elsewhere.yml").read_text())
    return found


def page(source: str, shown_by: Mapping[str, Sequence[str]]) -> str:
    """The law as it is read, and what shows each sentence."""
    made = [NOTE, ""]
    table = False
    for _, block in blocks(source):
        text = _MARK.sub("", block)
        row = text.startswith("|")
        if made[-1] and not (row and table) and not (text.startswith("- ") and made[-1].startswith(("- ", "  "))):
            made.append("")
        table = row
        if row or text.startswith("#"):
            made.append(text)
        else:
            indent = "  " if text.startswith("- ") else ""
            wrap = textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
            made += wrap
    rows = [f"| {_opening(s.text)} | {' · '.join(shown_by.get(s.id, ()))} |" for s in sentences(source)]
    return "\n".join([*made, "", SHOWN]) + "\n".join(rows) + "\n"


def shown_by() -> dict[str, list[str]]:
    """Sentence → names of cases and tests."""
    found: dict[str, list[str]] = {}
    for every in cases().values():
        for case in every:
            for name in case.covers:
                found.setdefault(name, []).append(case.case)
    for name, nodes in tests().items():
        found.setdefault(name, []).extend(f"`{node.rpartition('/')[2]}`" for node in nodes)
    return found


def _opening(text: str) -> str:
    words = textwrap.shorten(text, 70, placeholder=" …") if len(text) > 70 else text
    return words + "`" if words.count("`") % 2 else words


if __name__ == "__main__":
    PAGE.write_text(page(SOURCE.read_text(), shown_by()))
