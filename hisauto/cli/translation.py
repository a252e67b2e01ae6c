"""A catalog: English messages and what they are in another language.

English is the key. Below the command line a message is made as a whole, values and all, so it is matched back against
the template that it was made by. A slot called ``why`` holds a message itself; every other one holds somebody's data,
which is not touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from string import Formatter

NESTED = "why"


@cache
def read(language: str) -> Catalog:
    """The catalog that comes with hisauto."""
    place = files("hisauto.cli") / "locale" / language / "LC_MESSAGES" / "hisauto.po"
    return Catalog(dict(entries(place.read_text(encoding="utf-8"))))


def entries(text: str) -> Iterator[tuple[str, str]]:
    """The translated entries of a gettext PO file. Read as it is: it needs no compiled twin that could lag behind."""
    found = {"msgid": "", "msgstr": ""}
    word = ""
    for line in [*text.splitlines(), 'msgid ""']:
        if line.startswith("msgid ") and word == "msgstr":
            if found["msgid"] and found["msgstr"]:
                yield found["msgid"], found["msgstr"]
            found = {"msgid": "", "msgstr": ""}
        if line.startswith(("msgid ", "msgstr ")):
            word, _, line = line.partition(" ")
        if line.startswith('"'):
            found[word] += json.loads(line)


class Template:
    """A message with slots, and its translation."""

    def __init__(self, english: str, translated: str) -> None:
        self.literals, self.slots = [""], list[str]()
        """What stands around the slots, and their names: one literal more than slots."""
        for literal, name, *_ in Formatter().parse(english):
            self.literals[-1] += literal
            if name is not None:
                self.slots.append(name)
                self.literals.append("")
        self.translated = translated
        self.weight = len("".join(self.literals).replace(" ", ""))

    def match(self, text: str) -> dict[str, str] | None:
        """The values of its slots, in their order, in a text that it can have made."""
        # Most templates are out before a pattern is ever compiled.
        if not text.startswith(self.literals[0]) or not all(literal in text for literal in self.literals):
            return None
        found = self._pattern.fullmatch(text)
        return found.groupdict() if found else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Reasons are joined by semicolons: a value doesn't reach from one into the next.
        slots = [f"(?P<{n}>.*?)" if n.startswith(NESTED) else f"(?P<{n}>(?:(?!; ).)*?)" for n in self.slots]
        pieces = [re.escape(literal) for literal in self.literals]
        return re.compile("".join(p + s for p, s in zip(pieces, [*slots, ""], strict=True)), re.DOTALL)

    def doubt(self, values: Mapping[str, str]) -> tuple[int, int, int]:
        """Smaller is surer: a message begins where the text does, says much itself, and has few slots."""
        before = 0 if self.literals[0] else len(values[self.slots[0]])
        return before, -self.weight, len(self.slots)


class Catalog:
    """The messages of one language."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        made = [Template(english, translated) for english, translated in messages.items()]
        self._whole = {t.literals[0]: t.translated.format() for t in made if not t.slots}
        self._templates = [t for t in made if t.slots]
        self.translate = lru_cache(4096)(self._translate)

    def _translate(self, text: str) -> str:
        """As far as it is known; what stands around it stays."""
        body = text.strip()
        before, _, after = text.partition(body) if body else ("", "", text)
        return f"{before}{self._message(body)}{after}"

    def _message(self, text: str) -> str:
        whole = self._whole.get(text) or self._whole.get(text.replace("_", " "))
        if whole is not None:
            return whole
        found = [(t, values) for t in self._templates if (values := t.match(text)) is not None]
        if not found:
            return self._compound(text)
        template, values = min(found, key=lambda one: one[0].doubt(one[1]))
        # Data that the text begins with and that has a colon is rather a message in front of another one.
        first = "" if template.literals[0] or template.slots[0].startswith(NESTED) else values[template.slots[0]]
        if ": " in first and (told := self._compound(text)) != text:
            return told
        inner = {name: self.translate(v) if name.startswith(NESTED) else v for name, v in values.items()}
        return template.translated.format(**inner)

    def _compound(self, text: str) -> str:
        """Messages that were strung together: ``host: why; host: why``, ``why (why)``."""
        parts = text.split("; ")
        if len(parts) > 1:
            told = [self.translate(part) for part in parts]
            return "；".join(told) if told != parts else text
        head, colon, tail = text.partition(": ")
        if colon:
            told = [self.translate(head), self.translate(tail)]
            return "：".join(told) if told != [head, tail] else text
        inner = re.fullmatch(r"(.+?) \((.+)\)", text, re.DOTALL)
        if inner:
            told = [self.translate(inner[1]), self.translate(inner[2])]
            return f"{told[0]}（{told[1]}）" if told != [inner[1], inner[2]] else text
        return text
