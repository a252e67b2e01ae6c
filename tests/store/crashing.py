"""Processes that change something and die of kill -9 in the middle of it. ``python -m store.crashing``.

Each line on standard input forks one that dies at that statement; the parent has imported everything already.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import psycopg  # noqa: F401 - so that not every fork has to import it
import sqlalchemy as sa

from hisauto.model.run import AttemptState, RunState
from hisauto.store.engine import open_store
from hisauto.store.journal import StoreJournal
from hisauto.store.store import Store

from .runs import decision, submission

DEEDS: dict[str, Callable[[Store, StoreJournal], Any]] = {
    "submit": lambda store, _: store.submit(submission("r-20261123-new0", blobs=[b"file"])),
    "claim": lambda store, journal: store.claim(journal.run, "node-c"),
    "decide": lambda store, journal: store.decide(journal.run, decision()),
    "note": lambda _, journal: journal.note("hosts", ["db1"]),
    "record": lambda _, journal: journal.record("1", 1, AttemptState.started),
    "settle": lambda _, journal: journal.record("0", 1, AttemptState.done),
    "move": lambda _, journal: journal.move(RunState.locking),
    "locks": lambda _, journal: journal.take_locks(["b", "c"]),
    "park": lambda _, journal: journal.park(RunState.locking, {"kind": "gate", "id": "g"}, None, 0),
    "end": lambda _, journal: journal.end(RunState.cancelled, {}),
}


def act(url: str, deed: str, run: str, deadly: int) -> None:
    """Come to the point of the deed, wait for a line, do it, and die before its ``deadly``-th statement."""
    store = open_store(url)
    journal = store.claim(run, "node-b")
    journal.record("0", 1, AttemptState.started)
    journal.take_locks(["a"])
    tell("ready")
    hear()
    count = 0

    def step(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(store.engine, "before_cursor_execute", step)
    sa.event.listen(store.engine, "commit", step)  # comes just before it
    sa.event.listen(store.engine, "checkin", lambda *_: os._exit(0))  # what it reads afterwards is no change
    DEEDS[deed](store, journal)


def work(url: str, run: str) -> None:
    """Make attempts until the end, and tell of each change once it is said to be durable."""
    journal = open_store(url).claim(run, "node-b")
    first = len(journal.attempts())
    for number in range(first, first + 100_000):
        for state in (AttemptState.started, AttemptState.done):
            journal.record(str(number), 1, state)
            tell(f"{number} {state}")


def tell(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def hear() -> str:
    """A line, read without taking a byte more: forks share the pipe."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line.decode().strip()


def main(url: str, deed: str, run: str) -> None:
    if deed == "work":
        work(url, run)
        return
    while deadly := hear():
        child = os.fork()
        if child == 0:
            act(url, deed, run, int(deadly))
        _, status = os.waitpid(child, 0)
        tell(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main(*sys.argv[1:])
