"""JSON on its way into the record: what is kept whole, and what goes into the log by its digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hisauto.audit.entry import canonical_json
from hisauto.errors import Invalid

_LARGEST = 16 * 1024  # bytes of JSON that an audit entry takes in as they are
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
        return {key: digest(item) if key in _OUTPUT and item else _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) >= _EXACT else value


def _shrunk(value: Any) -> Any:
    if len(canonical_json(value)) <= _LARGEST:
        return value
    if isinstance(value, dict):
        smaller = {key: _shrunk(item) for key, item in value.items()}
        if len(canonical_json(smaller)) <= _LARGEST:
            return smaller
    return digest(value)


def digest(value: Any) -> dict[str, Any]:
    """SHA-256 and size: of a text its UTF-8, of anything else its canonical JSON."""
    raw = value.encode() if isinstance(value, str) else canonical_json(value)
    return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
