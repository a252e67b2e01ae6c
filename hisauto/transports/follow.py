"""What goes on beside a waiting act: live output, and the end that a cancelled run asks for."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from hisauto.model.transport import OnOutput, Receipt

LOOK = 0.5
"""Seconds between two looks at the output."""
FIRST = 1.0
"""Seconds until the first: it takes a second shell, which a short act does without."""
AGAIN = 5.0
"""Seconds until a kill that did not end it is tried again."""
MOST = 1 << 20
"""Bytes of each stream in one look."""
REST = 60.0
"""Seconds for what is left to show once it has ended: what it left behind may write on for ever."""


class Follow:
    """Called about every tenth of a second while an act is waited for."""

    def __init__(
        self,
        read: Callable[[int, int, int], tuple[bytes, bytes]],
        kill: Callable[[], None],
        on_output: OnOutput | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        """``read`` gives what both streams hold from two offsets on, at most so many bytes of each."""
        self._read = read
        self._kill = kill
        self._on_output = on_output
        self._cancelled = cancelled
        self._out = self._err = 0
        self._next_look = monotonic() + FIRST
        self._next_kill = 0.0

    def tick(self) -> None:
        if self._cancelled and monotonic() >= self._next_kill and self._cancelled():
            self._kill()
            self._next_kill = monotonic() + AGAIN
        if self._on_output and monotonic() >= self._next_look:
            self._look(16)
            self._next_look = monotonic() + LOOK

    def finish(self, receipt: Receipt | None) -> None:
        """Hand on what has not been seen yet."""
        if not self._on_output or receipt is None or receipt.completed is None:
            return
        if receipt.completed.truncated:
            until = monotonic() + REST
            while self._look(1) and monotonic() < until:
                pass
        else:
            self._pass_on(receipt.completed.out[self._out :], receipt.completed.err[self._err :])

    def _look(self, times: int) -> bool:
        """Whether there may be more."""
        for _ in range(times):
            out, err = self._read(self._out, self._err, MOST)
            self._pass_on(out, err)
            if len(out) < MOST and len(err) < MOST:
                return False
        return True

    def _pass_on(self, out: bytes, err: bytes) -> None:
        self._out += len(out)
        self._err += len(err)
        if self._on_output and out:
            self._on_output("out", out)
        if self._on_output and err:
            self._on_output("err", err)
