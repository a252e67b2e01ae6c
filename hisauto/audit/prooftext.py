"""Proofs as text that anybody can check: with a checkpoint, the nodes' public keys, and nothing else of the log.

Of an entry: c2sp.org/tlog-proof, with the entry's canonical bytes as its extra data. Of a log that only grew: what
c2sp.org/tlog-witness asks of a log, ``old SIZE``, the hashes, and the newer checkpoint.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hisauto.audit import checkpoint, entry, proof
from hisauto.audit.checkpoint import Checkpoint
from hisauto.audit.entry import Entry
from hisauto.audit.merkle import leaf_hash
from hisauto.audit.note import VerifierKey, strict_base64
from hisauto.errors import Broken, Invalid

INCLUSION = "c2sp.org/tlog-proof@v1"
_MOST = 63  # hashes: a log has fewer than 2**63 entries
_NUMBER = re.compile(r"(index|old) (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True)
class ProofText:
    """What a proof says before anybody checked it: nothing of it is to be believed yet."""

    index: int | None
    """The entry that is proven to be there."""
    old: int | None
    """Or the size that the log is proven to have had."""
    raw: bytes | None
    """The entry's bytes, if the proof brings them along."""
    path: tuple[bytes, ...]
    signed: str
    """The checkpoint."""


def of_entry(raw: bytes, index: int, path: Sequence[bytes], signed: str) -> str:
    said = [("extra", base64.b64encode(raw).decode()), ("index", str(index))]
    return "\n".join([INCLUSION, *map(" ".join, said), *_lines(path), "", signed])


def of_growth(old: int, path: Sequence[bytes], signed: str) -> str:
    return "\n".join([" ".join(("old", str(old))), *_lines(path), "", signed])


def read(text: str) -> ProofText:
    """Raises ``Invalid`` with the line that is no part of a proof."""
    head, gap, signed = text.partition("\n\n")
    lines = head.split("\n")
    number, raw = 0, None
    if lines[0] == INCLUSION:
        number = 1
        if len(lines) > 1 and lines[1].startswith("extra "):
            number, raw = 2, strict_base64(lines[1].removeprefix("extra "))
            if raw is None:
                raise _wrong(2, "base64 after 'extra'")
    expected = "'index' and a number" if number else f"'{INCLUSION}' or 'old' and a number"
    said = _NUMBER.fullmatch(lines[number]) if len(lines) > number else None
    if said is None or (said[1] == "index") != (number > 0):
        raise _wrong(number + 1, expected)
    path = []
    for count, line in enumerate(lines[number + 1 :], number + 2):
        one = strict_base64(line)
        if one is None or len(one) != 32:
            raise _wrong(count, "a SHA-256 hash in base64")
        path.append(one)
    if len(path) > _MOST:
        raise Invalid(f"a proof has at most {_MOST} hashes, and this has {len(path)}")
    if not gap:
        raise _wrong(len(lines), "an empty line and a checkpoint after the hashes")
    counted = int(said[2])
    index, old = (counted, None) if said[1] == "index" else (None, counted)
    return ProofText(index, old, raw, tuple(path), signed)


def check_entry(said: ProofText, raw: bytes, keys: Iterable[VerifierKey]) -> tuple[Entry, Checkpoint]:
    """The entry, once it is proven to stand in the log that a trusted key signed.

    Raises ``BadSignature`` if no trusted key signed the checkpoint, ``Broken`` if it proves nothing of this entry.
    """
    signed = checkpoint.verify(said.signed, keys)
    assert said.index is not None
    one = entry.parse(raw)
    if one.seq != said.index:
        raise Broken(f"the proof is of entry {said.index}, and this is entry {one.seq}")
    if not proof.included(leaf_hash(raw), said.index, signed.size, said.path, signed.root):
        raise Broken(f"it does not prove that this is entry {said.index} of the log with {signed.size} entries")
    return one, signed


def check_growth(said: ProofText, old: Checkpoint, keys: Iterable[VerifierKey]) -> Checkpoint:
    """The newer checkpoint, once the log under it is proven to begin with all that is under ``old``.

    Raises ``BadSignature`` if no trusted key signed it, ``Broken`` if it proves nothing of ``old``.
    """
    signed = checkpoint.verify(said.signed, keys)
    if signed.origin != old.origin:
        raise Broken(f"the proof is of the log {signed.origin!r}, and the checkpoint of {old.origin!r}")
    if said.old != old.size:
        raise Broken(f"the proof begins at {said.old} entries, and the checkpoint is over {old.size}")
    if not proof.consistent(old.size, old.root, signed.size, signed.root, said.path):
        raise Broken(f"it does not prove that the log with {signed.size} entries begins with those {old.size}")
    return signed


def _lines(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in path]


def _wrong(number: int, expected: str) -> Invalid:
    return Invalid(f"line {number} of the proof: expected {expected}")
