"""Secrets, masked in one place: wherever a text is about to be kept or shown, in every spelling that tools give it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 4
"""Characters. Shorter values would mask half of every text, and protect nothing."""


def spellings(secret: str) -> set[str]:
    """A secret as it stands, and as base64, URL-, hex- and JSON-escaped text has it."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), raw.hex(), json.dumps(secret)[1:-1]}
    found.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    for code in (base64.b64encode, base64.urlsafe_b64encode):
        for lead in range(3):
            # Inside a longer text base64 begins at any of three places; the letters at both ends depend on neighbours.
            coded = code(b"\0" * lead + raw).decode().rstrip("=")
            found.add(coded[(0, 2, 3)[lead] : len(coded) - (0 if (lead + len(raw)) % 3 == 0 else 1)])
    return {s for s in found if len(s) >= SHORTEST}


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets, longest spelling first."""
    every = {s for secret in secrets if len(secret) >= SHORTEST for s in spellings(secret)}
    for spelling in sorted(every, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def mask_all(value: Any, secrets: Iterable[str]) -> Any:
    """A JSON value, masked in all its texts, keys included."""
    known = tuple(secrets)
    if not known:
        return value
    if isinstance(value, str):
        return mask(value, known)
    if isinstance(value, dict):
        return {mask(str(k), known): mask_all(v, known) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [mask_all(v, known) for v in value]
    return value
