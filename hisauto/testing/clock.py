"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


class VirtualClock:
    """``hisauto.clock.Clock`` without waiting. Sleeps of threads that run side by side add up."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self._mutex = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._mutex:
            self._passed += max(0.0, seconds)
