"""RFC 6962 Merkle tree hashes, kept as the peaks of a compact range, and the head of the log that carries them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import reduce
from typing import Any

from hisauto.errors import Broken

GENESIS = "0" * 64
"""What stands in for the hash of the entry before the first."""


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962 section 2.1: SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 section 2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Peaks:
    """The roots of the perfect subtrees of a tree of ``size`` leaves, largest first: one per bit of ``size``."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Peaks:
        """The tree with one more leaf hash."""
        hashes, size = self.hashes, self.size
        while size & 1:
            leaf = node_hash(hashes[-1], leaf)
            hashes, size = hashes[:-1], size >> 1
        return Peaks(self.size + 1, (*hashes, leaf))

    def within(self, leaves: range) -> Peaks:
        """The peaks that lie whole in this range."""
        found, begin = list[tuple[int, bytes]](), 0
        for bit, one in zip((b for b in reversed(range(self.size.bit_length())) if self.size >> b & 1), self.hashes,
                            strict=True):  # fmt: skip
            if leaves.start <= begin and begin + (1 << bit) <= leaves.stop:
                found.append((1 << bit, one))
            begin += 1 << bit
        return Peaks(sum(size for size, _ in found), tuple(one for _, one in found))

    def root(self) -> bytes:
        """The Merkle tree hash; of the empty tree SHA-256 of nothing."""
        if not self.hashes:
            return hashlib.sha256(b"").digest()
        return reduce(lambda right, left: node_hash(left, right), reversed(self.hashes))


@dataclass(frozen=True)
class Head:
    """Where the log ends: all that is needed to append to it and to sign it."""

    last: str = GENESIS
    """SHA-256 of the last entry, hex."""
    peaks: Peaks = Peaks()

    @property
    def size(self) -> int:
        return self.peaks.size

    def root(self) -> bytes:
        return self.peaks.root()

    def append(self, raw: bytes) -> Head:
        """The head after the entry whose canonical bytes are ``raw``."""
        return Head(hashlib.sha256(raw).hexdigest(), self.peaks.append(leaf_hash(raw)))

    def to_json(self) -> dict[str, Any]:
        return {"size": self.size, "last": self.last, "peaks": [peak.hex() for peak in self.peaks.hashes]}

    @staticmethod
    def from_json(stored: dict[str, Any]) -> Head:
        """Read what ``to_json`` wrote. Raises ``Broken`` if it can't be the head of a log."""
        try:
            size, last = stored["size"], stored["last"]
            hashes = tuple(bytes.fromhex(peak) for peak in stored["peaks"])
            whole = (
                isinstance(size, int)
                and size >= 0
                and len(hashes) == size.bit_count()
                and all(len(one) == 32 for one in (bytes.fromhex(last), *hashes))
            )
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise Broken("the stored head of the audit log is damaged", hint="verify the log: hisauto audit verify")
        return Head(last, Peaks(size, hashes))
