"""Logs to break: built as the store builds them, with a checkpoint now and then."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hisauto.audit import checkpoint, entry, export
from hisauto.audit.entry import Entry
from hisauto.audit.merkle import Head
from hisauto.audit.note import NodeKey

SITE = "hospital"
AT = "2026-11-23T03:00:00.000Z"
KEY = NodeKey("hospital/node-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
INTRUDER = NodeKey("hospital/node-1", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


@dataclass
class Log:
    """A log in the making."""

    head: Head = field(default_factory=Head)
    entries: list[Entry] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)

    def add(self, what: str, key: NodeKey | None = None) -> None:
        """One more entry, and a checkpoint after it if there is a key."""
        one = entry.make(self.head, AT, "step.ended", "r-1", "node-1", {"what": what, "rc": 0})
        self.head = self.head.append(one.raw)
        self.entries.append(one)
        if key:
            self.checkpoints.append(checkpoint.sign(self.head, SITE, AT, key))


def grown(size: int = 10, key: NodeKey = KEY, every: int = 3, word: str = "step") -> Log:
    """A log with a checkpoint after every so many entries."""
    log = Log()
    for number in range(size):
        log.add(f"{word} {number}", key if number % every == every - 1 else None)
    return log


def exported(log: Log, key: NodeKey = KEY) -> bytes:
    sink = io.BytesIO()
    export.write(
        log.entries, log.checkpoints, key, sink, head=log.head, site=SITE, exported_at=AT, node_keys=[key.name]
    )
    return sink.getvalue()
