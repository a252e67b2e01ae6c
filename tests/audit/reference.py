"""The log's mathematics a second time, slow and word for word from the standards, to check the real one against."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def k(n: int) -> int:
    """The largest power of two smaller than n."""
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    split = k(len(leaves))
    return sha256(b"\x01" + mth(leaves[:split]) + mth(leaves[split:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = k(len(leaves))
    if m < split:
        return [*path(m, leaves[:split]), mth(leaves[split:])]
    return [*path(m - split, leaves[split:]), mth(leaves[:split])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF of RFC 6962 section 2.1.2, for 0 < m <= n."""
    return subproof(m, leaves, True)


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    split = k(len(leaves))
    if m <= split:
        return [*subproof(m, leaves[:split], whole), mth(leaves[split:])]
    return [*subproof(m - split, leaves[split:], False), mth(leaves[:split])]


def whole(entries: list[bytes], signed: dict[int, bytes]) -> bool:
    """Whether these are the entries of one log, of which the roots at some sizes are known."""
    before = "0" * 64
    for number, raw in enumerate(entries):
        try:
            value: dict[str, Any] = json.loads(raw)
            again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except ValueError:
            return False
        if again != raw or value.get("seq") != number or value.get("prev") != before:
            return False
        before = hashlib.sha256(raw).hexdigest()
    return all(size <= len(entries) and mth(entries[:size]) == root for size, root in signed.items())
