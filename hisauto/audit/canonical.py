"""Canonical JSON (RFC 8785), in both directions; quick for what the log is nearly always made of.

The standard library's own writer gives the canonical form unless there are numbers that ECMAScript writes otherwise,
integers that not everybody can read, or keys beyond the basic plane, which are sorted otherwise. Those, and whatever is
not JSON at all, are left to ``rfc8785``: here it is only decided that there are none.
"""

from __future__ import annotations

import json
import re
from typing import Any

import rfc8785

from hisauto.errors import Broken, Invalid

_RARE = re.compile(rb"[0-9]{16}|[\xf0-\xf4]")  # maybe an integer beyond 2**53; maybe a key beyond the basic plane


class _Rare(ValueError):
    """Not to be decided here."""


def _number(text: str) -> float:
    value = float(text)
    if 1e-4 <= abs(value) < 1e15 and not value.is_integer():
        return value  # written by Python as by ECMAScript
    raise _Rare


def _constant(text: str) -> float:
    raise _Rare


_READER = json.JSONDecoder(parse_float=_number, parse_constant=_constant)
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def dumps(value: Any) -> bytes:
    """The canonical bytes. Raises ``Invalid`` for what JSON can't hold: NaN, integers beyond 2**53, other objects."""
    try:
        raw = _WRITER.encode(value).encode()
        # Read back, because the writer turns keys of other types into text.
        if not _RARE.search(raw) and _READER.decode(raw.decode()) == value:
            return raw
    except (ValueError, TypeError, RecursionError):
        pass
    return _rare_dumps(value)


def loads(raw: bytes) -> Any:
    """What canonical bytes say. Raises ``Broken`` unless they are just that."""
    try:
        text = raw.decode()
        if not _RARE.search(raw):
            value = _READER.decode(text)
            if _WRITER.encode(value) == text:
                return value
    except (ValueError, RecursionError):
        pass
    try:
        value = json.loads(raw.decode())
        if _rare_dumps(value) == raw:
            return value
    except (ValueError, RecursionError, Invalid) as error:
        raise Broken("it is not JSON as this format writes it") from error
    raise Broken("it is not in canonical form (RFC 8785)")


def _rare_dumps(value: Any) -> bytes:
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:  # CanonicalizationError is a ValueError, as a bad key's own is
        raise Invalid(
            f"not JSON that everybody reads the same: {error}", hint="write large numbers and moments as text"
        ) from error
