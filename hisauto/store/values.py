"""JSON on its way into the record: what is kept whole, and what goes into the log by its digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hisauto.audit import canonical
from hisauto.errors import Invalid

_LARGEST = 16 * 1024  # bytes of JSON that an audit entry takes in as they are
_DIGEST = 100  # bytes of JSON that a digest has itself, about
_EXACT = 2**53  # beyond it, JSON readers disagree about integers
_OUTPUT = frozenset({"stdout", "stderr"})


def plain(value: Any) -> Any:
    """The value as it will be read back: own lists and dicts. Raises ``Invalid`` if it is not JSON."""
    try:
        return json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"only JSON can be put on record: {error}") from error


def for_log(value: Any) -> Any:
    """A plain value for an audit entry: output and whatever is large by digest, integers beyond 2**53 as text."""
    return _shrunk(_readable(value))


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        readable = {key: _readable(item) for key, item in value.items()}
        return {key: digest(item) if key in _OUTPUT and item else item for key, item in readable.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) >= _EXACT else value


def _shrunk(value: Any) -> Any:
    if len(canonical.dumps(value)) <= _LARGEST:
        return value
    if isinstance(value, dict):
        smaller = {key: _shrunk(item) for key, item in value.items()}
        sizes = {key: len(canonical.dumps(item)) for key, item in smaller.items()}
        # The largest first, so that what an entry is about stays readable.
        for key in sorted(sizes, key=lambda key: -sizes[key]):
            if len(canonical.dumps(smaller)) <= _LARGEST or sizes[key] <= _DIGEST:
                break
            smaller[key] = digest(value[key])
        if len(canonical.dumps(smaller)) <= _LARGEST:
            return smaller
    return digest(value)


def tells(logged: Any, stored: Any) -> bool:
    """Whether ``logged`` is what ``for_log`` made of ``stored``, alone or as a part of something larger."""
    try:
        return _is(logged, _readable(stored))
    except Invalid:
        return False  # what is no JSON was never logged


def _is(logged: Any, value: Any) -> bool:
    # As bytes: to Python, 1 and True are the same.
    if canonical.dumps(logged) == canonical.dumps(value) or (is_digest(logged) and logged == digest(value)):
        return True
    if isinstance(logged, dict) and isinstance(value, dict) and logged.keys() == value.keys():
        return all(_is(logged[key], value[key]) for key in value)
    return False


def is_digest(value: Any) -> bool:
    """Whether it stands for something larger."""
    return isinstance(value, dict) and value.keys() == {"sha256", "bytes"}


def digest(value: Any) -> dict[str, Any]:
    """SHA-256 and size: of a text its UTF-8, of anything else its canonical JSON."""
    raw = value.encode() if isinstance(value, str) else canonical.dumps(value)
    return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
