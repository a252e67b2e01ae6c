"""Processes by the hundred: forked from one that has imported everything already, and watched over by it.

``python -m tests.crash.nursery ADDRESS`` connects to whoever wants them and takes orders ``(verb, *arguments)``. It has
no threads of its own, so that a fork of it is whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds in which a life has to come to its end, or to a stop."""


class Nursery:
    """The side of whoever wants processes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _ask(self, *order: Any) -> Any:
        self.connection.send(order)
        return self.connection.recv()

    def fork(self, job: Callable[..., None], *args: Any) -> int:
        """A process that does this, and ends: 0 if it did, 1 if it raised."""
        return int(self._ask("fork", job, args))

    def wait(self, pid: int, patience: float = PATIENCE) -> int | None:
        """How a process ended, as ``os.waitstatus_to_exitcode`` has it; None: it was stopped, and is there still.

        Raises ``AssertionError`` when it does neither in time.
        """
        how: int | str | None = self._ask("wait", pid, patience)
        assert not isinstance(how, str), f"a process {how} for {patience:g} s, and was killed"
        return how

    def signal(self, pid: int, number: signal.Signals) -> None:
        """To a process that hasn't been waited for."""
        self._ask("signal", pid, number)


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """One, and the end of all its processes afterwards."""
    address = str(folder / "nursery")
    with Listener(address, "AF_UNIX") as listener:
        argv = [sys.executable, "-m", "tests.crash.nursery", address]
        process = subprocess.Popen(argv, cwd=Path(__file__).parents[2])
        try:
            with listener.accept() as connection:
                yield Nursery(connection)
        finally:
            process.wait(30)


def _fork(children: set[int], connection: Connection, job: Callable[..., None], args: tuple[Any, ...]) -> int:
    pid = os.fork()
    if pid:
        children.add(pid)
        return pid
    connection.close()
    try:
        job(*args)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _wait(children: set[int], pid: int, patience: float) -> int | str | None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            return None
        if found:
            children.discard(pid)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    children.discard(pid)
    return "hung"


def main(address: str) -> None:
    """Take orders until nobody gives any more."""
    import tests.crash.lives  # noqa: F401 - so that not every fork has to

    children: set[int] = set()
    connection = Client(address, "AF_UNIX")
    try:
        while True:
            verb, *arguments = connection.recv()
            if verb == "fork":
                connection.send(_fork(children, connection, *arguments))
            elif verb == "wait":
                connection.send(_wait(children, *arguments))
            else:
                os.kill(*arguments)
                connection.send(None)
    except (EOFError, ConnectionError):
        pass
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
