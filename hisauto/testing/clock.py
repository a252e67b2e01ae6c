"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
NANO = 10**9


class VirtualClock:
    """``hisauto.clock.Clock`` without waiting. Sleeps of threads that run side by side add up.

    It counts whole nanoseconds, and a sleep takes at least one: whoever sleeps for what a rounding left over gets on.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0
        self._mutex = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(microseconds=self._passed // 1000)

    def monotonic(self) -> float:
        return self._passed / NANO

    def sleep(self, seconds: float) -> None:
        with self._mutex:
            self._passed += max(0, math.ceil(seconds * NANO))
