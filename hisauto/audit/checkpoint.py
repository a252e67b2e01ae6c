"""Checkpoints: a node's signed statement that the log had this size and this root (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hisauto.audit import note
from hisauto.audit.merkle import Head
from hisauto.audit.note import NodeKey, VerifierKey
from hisauto.errors import BadSignature, Invalid

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_AT = "at "  # the extension line


@dataclass(frozen=True)
class Checkpoint:
    """What was signed."""

    origin: str
    """Which log: the site."""
    size: int
    """Number of entries."""
    root: bytes
    at: str | None
    """When, by the clock of the node; RFC 3339."""
    signers: tuple[str, ...]


def sign(head: Head, origin: str, at: str, key: NodeKey) -> str:
    """A checkpoint of the log ``origin`` as ``head`` has it, signed by a node at ``at``. Raises ``Invalid``."""
    if not origin or "\n" in origin:
        raise Invalid("the name of a log is one line of text")
    root = base64.b64encode(head.root()).decode()
    return note.sign(f"{origin}\n{head.size}\n{root}\n{_AT}{at}\n", key)


def verify(text: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """What a checkpoint says, once a trusted key's signature on it holds.

    Raises ``UnknownKey`` if no trusted key signed it, ``BadSignature`` if one did not sign this or it
    is no checkpoint.
    """
    body, signers = note.open_note(text, keys)
    origin, *rest = body.removesuffix("\n").split("\n")
    root = note.strict_base64(rest[1]) if len(rest) > 1 else None
    if not origin or root is None or len(root) != 32 or not _SIZE.fullmatch(rest[0]):
        raise BadSignature("a signed note, but not a checkpoint")
    at = next((line.removeprefix(_AT) for line in rest[2:] if line.startswith(_AT)), None)
    return Checkpoint(origin, int(rest[0]), root, at, signers)


def claimed_size(text: str) -> int | None:
    """The size that a checkpoint names, before anybody looked at its signature; None if it names none."""
    lines = text.split("\n", 2)
    return int(lines[1]) if len(lines) == 3 and _SIZE.fullmatch(lines[1]) else None
