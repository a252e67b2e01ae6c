"""One client from its start to its end: wall clock, CPU of both sides, memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fanout.farm import Farm, children

SAMPLE = 0.25
"""Seconds between two looks at the memory."""
SUBREAPER = 36
GRACE = 3.0


class Failed(Exception):
    """A client ended with an error."""


@dataclass(frozen=True)
class Measured:
    """What one client took. Seconds and MiB."""

    wall: float
    client_cpu: float
    server_cpu: float
    memory: float
    """The most that all its processes held together (PSS, seen four times a second)."""

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


def measure(argv: Sequence[str], env: Mapping[str, str], farm: Farm, limit: float, log: Path) -> Measured | None:
    """Run a client. None: it was ended after ``limit`` seconds. Raises ``Failed``, with what it said.

    What it leaves behind (the masters of shared connections) is ended and counted to it.
    """
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    farm.settle()
    before, begun = farm.cpu(), time.monotonic()
    with log.open("wb") as out:
        child = subprocess.Popen(
            argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    with _Memory(farm.keeper.pid) as memory:
        status, cpu = _wait(child.pid, limit)
        wall = time.monotonic() - begun
    child.returncode = -1 if status is None else os.waitstatus_to_exitcode(status)
    cpu += _sweep(farm.keeper.pid)
    farm.settle()
    if status is None:
        return None
    if child.returncode:
        raise Failed(f"{' '.join(argv)} ended with {child.returncode}:\n{log.read_text(errors='replace')[-4000:]}")
    return Measured(wall, cpu, farm.cpu() - before, memory.most)


def _wait(pid: int, limit: float) -> tuple[int | None, float]:
    """Exit status, None after the limit, and CPU seconds with all that it has reaped."""
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    timer = threading.Timer(limit, end)
    timer.start()
    _, status, used = os.wait4(pid, 0)
    timer.cancel()
    return (None if late.is_set() else status), used.ru_utime + used.ru_stime


def _sweep(keeper: int) -> float:
    """End and reap what is left under this process but the servers; its CPU seconds."""
    used, deadline = 0.0, time.monotonic() + GRACE
    while left := [pid for pid in children(os.getpid()) if pid != keeper]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                got, _, usage = os.wait4(pid, os.WNOHANG)
                used += usage.ru_utime + usage.ru_stime if got else 0.0
        time.sleep(0.01)
    return used


class _Memory:
    """Watches the memory of all processes below this one but the servers."""

    def __init__(self, keeper: int) -> None:
        self._keeper = keeper

    def __enter__(self) -> _Memory:
        self.most = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            clients = [pid for pid in children(os.getpid()) if pid != self._keeper]
            held = sum(_pss(pid) for client in clients for pid in (client, *_below(client)))
            self.most = max(self.most, held / 1024)
            if self._ended.wait(SAMPLE):
                return


def _below(pid: int) -> list[int]:
    return [q for p in children(pid) for q in (p, *_below(p))]


def _pss(pid: int) -> int:
    """KiB."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0
