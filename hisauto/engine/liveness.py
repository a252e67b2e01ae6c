"""Whether another node is dead. Two nodes' clocks are never compared: each judges by what it has watched itself."""

from __future__ import annotations

from collections.abc import Mapping

from hisauto.clock import Clock

BEAT = 1.5
"""Seconds between two beats of a node."""
SILENCE = 6.0
"""Seconds without one, under a node's own eyes, after which it takes another for dead."""
BLINK = 2.0
"""Seconds without a look after which whoever looks has to begin anew: it may have been frozen together with others."""


class Watch:
    """One node's eyes on the others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked = clock.monotonic()
        self._since: dict[str, tuple[int, float]] = {}

    def dead(self, beats: Mapping[str, int]) -> set[str]:
        """Those of them that have been silent for long enough. ``beats``: how often each has beaten, just read."""
        now = self._clock.monotonic()
        if now - self._looked > BLINK:
            self._since.clear()
        self._looked = now
        known = self._since
        self._since = {
            node: known[node] if node in known and known[node][0] == count else (count, now)
            for node, count in beats.items()
        }
        return {node for node, (_, since) in self._since.items() if now - since >= SILENCE}

    def forget(self) -> None:
        """The record could not be read: nobody was watched."""
        self._since.clear()
