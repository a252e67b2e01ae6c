"""Processes that watch and load the lab beside a test or a demo, and end with whoever started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab.errors import LabError


def start(module: str, record: Path, *args: str) -> subprocess.Popen[bytes]:
    """``python -m MODULE RECORD ARGS…``, begun once ``record`` is there. It ends by ``stop`` or by our own end.

    Raises LabError if it ends at once.
    """
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(  # a pipe to us is closed by the kernel however we end
        [sys.executable, "-m", module, str(record), *args], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 15
    while not (record.exists() and record.stat().st_size):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            _, said = process.communicate()
            why = said.decode(errors="replace").strip()[-500:] or "no record after 15 s"
            raise LabError(f"{module} did not start: {why}")
        time.sleep(0.01)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to finish its record and wait for that. Raises LabError if it had died."""
    _, said = process.communicate(timeout=30)  # closes its stdin
    if process.returncode != 0:
        raise LabError(f"It ended with {process.returncode}: {said.decode(errors='replace').strip()[-500:]}")


def until_told() -> None:
    """Return at SIGTERM, at SIGINT, or at the end of standard input if that is a pipe."""
    told: list[int] = []  # not an Event: a handler that sets one stops for ever if it interrupts whoever waits for it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda heard, _: told.append(heard))
    piped = not os.isatty(0)
    while not told:
        if not piped:
            time.sleep(0.1)
        elif select.select([0], [], [], 0.1)[0] and not os.read(0, 4096):
            return
