"""Who accepts writes, seen from a third place: each database is written to directly, some fifty times a second.

``python -m lab.watcher RECORD {"db1": DSN, …} [LAB]`` watches until its standard input ends; with LAB, the folder of a
lab of machines, from within each host's own network, so that no partition hides a writer. The record is JSON lines:
first ``{"begin": time}``; ``{"host", "at"}`` for each write that a host accepted, by that host's own clock while it
wrote; last ``{"end": time}``. Wall clock: all hosts of a lab share one.

A host that refuses, is in recovery, hangs or is dark leaves no line: only an accepted write proves a writer. The write
is not waited for on a standby (``synchronous_commit = off``): a primary that could still take writes counts, even if
synchronous replication would let none of them be acknowledged.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from lab import background
from lab.database import Connection
from lab.errors import LabError
from lab.machines import inside
from lab.writer import lines

UNWAITED = "-c synchronous_commit=off"
PERIOD = 0.05
ENTERED = 1.0
"""Seconds until it is asked again which network is the host's: a boot takes longer."""
APART = 0.25
"""Seconds between two sightings of a writer from which on they no longer prove that it was one in between."""

WRITE = """insert into watch values (1, clock_timestamp())
           on conflict (id) do update set at = excluded.at returning extract(epoch from at)::float8"""


class Watcher:
    """A thread and a connection for each host."""

    def __init__(self, record: Path, machines: Path | None) -> None:
        self.machines = machines
        self.due: dict[str, float] = {}
        self.file = record.open("x", encoding="utf-8")
        self.lock = threading.Lock()
        self.note(begin=time.time())

    def note(self, **line: float | str) -> None:
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def connect(self, host: str, dsn: str) -> Connection:
        """Raises psycopg.Error, OSError, ValueError."""
        if self.machines is not None and time.monotonic() > self.due.get(host, 0.0):
            self.due[host] = time.monotonic() + ENTERED
            inside.enter(self.machines, host)
        return psycopg.connect(dsn, autocommit=True, connect_timeout=2, options=UNWAITED)

    def watch(self, host: str, dsn: str) -> None:
        """Write for ever. No time-out on a write: a stopped server answers it as soon as it wakes."""
        while True:
            with (
                contextlib.suppress(psycopg.Error, OSError, ValueError),
                self.connect(host, dsn) as connection,
            ):
                while True:
                    for (at,) in connection.execute(WRITE):
                        self.note(host=host, at=at)
                    time.sleep(PERIOD)
            time.sleep(PERIOD)


def main(record: Path, databases: Mapping[str, str], machines: Path | None) -> None:
    watcher = Watcher(record, machines)
    for host, dsn in databases.items():
        threading.Thread(target=watcher.watch, args=(host, dsn), daemon=True).start()
    background.until_told()
    watcher.note(end=time.time())


def start(databases: Mapping[str, str], record: Path, machines: Path | None = None) -> subprocess.Popen[bytes]:
    """Begin watching ``{host: dsn}`` (``watch`` in the site's lab.json); ``stop`` ends it.

    ``machines``: the folder of their lab, to watch each from within its own network, which takes root. Raises LabError.
    """
    if record.exists():
        raise LabError(f"{record} exists already", hint="a record belongs to one watcher")
    return background.start("lab.watcher", record, json.dumps(dict(databases)), *([str(machines)] if machines else []))


stop = background.stop


@dataclass(frozen=True, order=True)
class Reign:
    """A time in which a host was seen to accept writes over and over."""

    begin: float
    end: float
    host: str


def reigns(record: Path) -> list[Reign]:
    """All of them, by their begin. Wall clock seconds. Raises OSError."""
    seen: dict[str, list[float]] = {}
    for line in lines(record):
        if "host" in line:
            seen.setdefault(line["host"], []).append(line["at"])
    found = []
    for host, moments in seen.items():
        begin = last = moments[0]
        for at in moments:
            if at - last > APART:
                found.append(Reign(begin, last, host))
                begin = at
            last = at
        found.append(Reign(begin, last, host))
    return sorted(found)


def overlaps(record: Path) -> list[tuple[Reign, Reign]]:
    """Pairs of reigns of different hosts at the same moment: each is a proof of two writers."""
    found = reigns(record)
    return [
        (one, other)
        for number, one in enumerate(found)
        for other in found[number + 1 :]
        if one.host != other.host and other.begin <= one.end
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
