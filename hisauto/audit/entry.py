"""One entry of the log. Its canonical bytes (RFC 8785) are what is stored, chained, hashed and exported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hisauto.audit import canonical as jcs
from hisauto.audit.merkle import Head
from hisauto.errors import Broken, Invalid

_TYPES: dict[str, tuple[type, ...]] = {
    "seq": (int,),
    "at": (str,),
    "kind": (str,),
    "run": (str, type(None)),
    "actor": (str,),
    "data": (dict,),
    "prev": (str,),
}


@dataclass(frozen=True)
class Entry:
    """What happened. Immutable: ``data`` is the entry's own copy and is not to be changed."""

    seq: int
    """From 0, without a gap."""
    at: str
    """RFC 3339, UTC."""
    kind: str
    run: str | None
    actor: str
    data: dict[str, Any]
    prev: str
    """SHA-256 of the entry before, hex; ``merkle.GENESIS`` for the first."""

    @cached_property
    def raw(self) -> bytes:
        """The canonical bytes. Raises ``Invalid`` if something in it is not JSON."""
        return jcs.dumps(to_json(self))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical bytes, hex: ``sha256sum`` of the line in an export without its line end."""
        return hashlib.sha256(self.raw).hexdigest()


def make(head: Head, at: str, kind: str, run: str | None, actor: str, data: dict[str, Any]) -> Entry:
    """The entry that follows ``head``. Raises ``Invalid`` if it is not JSON that can be read back the same."""
    written = Entry(head.size, at, kind, run, actor, data, head.last).raw
    try:
        # Read back: what is kept is what a reader will get, and no longer the caller's own dict.
        return parse(written)
    except Broken as error:
        raise Invalid(str(error)) from error


def parse(raw: bytes) -> Entry:
    """The entry of these canonical bytes. Raises ``Broken`` if they are not, or not those of an entry."""
    entry = from_json(jcs.loads(raw))
    entry.__dict__["raw"] = raw  # known, and costly to find out again
    return entry


def to_json(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _TYPES}


def from_json(stored: Any) -> Entry:
    """Read what ``to_json`` wrote. Raises ``Broken`` on a missing, foreign or ill-typed field."""
    if not isinstance(stored, dict) or stored.keys() != _TYPES.keys():
        raise Broken(f"an entry has the fields {', '.join(_TYPES)} and no others")
    for name, types in _TYPES.items():
        if not isinstance(stored[name], types) or isinstance(stored[name], bool):
            raise Broken(f"{name} of an entry can't be of type {type(stored[name]).__name__}")
    return Entry(**stored)


def canonical(entry: Entry) -> bytes:
    """The bytes that are hashed: RFC 8785. Raises ``Invalid``."""
    return entry.raw
