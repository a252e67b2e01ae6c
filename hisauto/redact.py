"""Secrets, masked in one place: wherever a text is about to be kept or shown, in every spelling that tools give it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 6
"""Characters. Shorter values would mask half of every text, and protect nothing."""


def spellings(secret: str) -> set[str]:
    """A secret as it stands, and as base64, hex, URLs, JSON, shells, SQL, HTML and Python write it.

    Of one with several lines each line counts too: tools indent them, or end them otherwise.
    """
    found: set[str] = set()
    for text in {secret, *(line.strip() for line in secret.splitlines())}:
        if len(text) >= SHORTEST:
            found |= _spelled(text)
    return {spelled for spelled in found if len(spelled) >= SHORTEST}


def _spelled(text: str) -> set[str]:
    raw = text.encode()
    quoted = {quote(text, safe=""), quote_plus(text), quote(text)}
    found = {text, raw.hex(), raw.hex().upper(), html.escape(text), html.escape(text, quote=False)}
    found |= quoted | {re.sub("%..", lambda m: m[0].lower(), q) for q in quoted}
    # Python chooses its quotes by what else is there, and escapes them or not.
    escaped = repr("'\"" + text)[4:-1]
    found |= {escaped, escaped.replace("\\'", "'"), repr(text)[1:-1]}
    # Within a shell's or SQL's single quotes: 'it'"'"'s', 'it'\''s', 'it''s'.
    found |= {shlex.quote(text)[1:-1], text.replace("'", "'\\''"), text.replace("'", "''")}
    for once in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        found |= {once, once.replace("/", "\\/"), json.dumps(once)[1:-1], json.dumps(once, ensure_ascii=False)[1:-1]}
    for code in (base64.b64encode, base64.urlsafe_b64encode):
        for lead in range(3):
            # Inside a longer text base64 begins at any of three places; the letters at both ends depend on neighbours.
            coded = code(b"\0" * lead + raw).decode().rstrip("=")
            found.add(coded[(0, 2, 3)[lead] : len(coded) - (0 if (lead + len(raw)) % 3 == 0 else 1)])
    return found


class Redactor:
    """The secrets that are known by now, and texts without them. Thread-safe."""

    def __init__(self, *secrets: str) -> None:
        self._known: set[str] = set()
        self._every: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self._mutex = Lock()
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Mask these from now on. What is shorter than ``SHORTEST`` is left out."""
        new = {secret for secret in secrets if len(secret) >= SHORTEST}
        with self._mutex:
            if new <= self._known:
                return
            self._known |= new
            # The longest first, so that no part of one is left beside a mask.
            found = {s for secret in self._known for s in spellings(secret)}
            self._every = tuple(sorted(found, key=lambda s: (-len(s), s)))
            self._pattern = re.compile("|".join(map(re.escape, self._every)))

    def text(self, text: str) -> str:
        """The text without any of the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def value(self, value: Any) -> Any:
        """A JSON value, masked in all its texts, keys included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(v) for v in value]
        return value

    def whole(self, text: str) -> int:
        """How much of a piece of text can be masked by itself: what is behind it may be a secret's beginning."""
        end = len(text)
        for spelling in self._every:
            at = text.find(spelling[0], max(0, len(text) - len(spelling) + 1), end)
            while at >= 0 and not spelling.startswith(text[at:]):
                at = text.find(spelling[0], at + 1, end)
            end = at if at >= 0 else end
        if self._pattern is not None:
            end = min([end, *(m.start() for m in self._pattern.finditer(text) if m.start() < end < m.end())])
        return end


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets."""
    return Redactor(*secrets).text(text)


def mask_all(value: Any, secrets: Iterable[str]) -> Any:
    """A JSON value, masked in all its texts, keys included."""
    return Redactor(*secrets).value(value)


SECRET_NAME = re.compile(r"authorization|cookie|token|secret|passw|api-?_?key", re.IGNORECASE)


def secrets_in(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The values whose names say that they are secret, and the words behind a scheme (``Bearer …``)."""
    found: list[str] = []
    for name, value in values.items():
        if isinstance(value, str) and value and SECRET_NAME.search(name):
            found += [value, *value.split()[1:]]
    return tuple(dict.fromkeys(found))
