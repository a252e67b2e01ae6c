"""A write load with a ledger: every write on a connection of its own, every acknowledgement on record.

``python -m lab.writer LEDGER DSN [RATE [LAB HOST]]`` writes until its standard input ends; with LAB, the folder of a
lab of machines, from the network of HOST. The ledger is JSON lines: first
``{"wall": seconds}``, what to add to the times to get the wall clock; then ``{"n", "ok", "sent", "at"}`` for each
write, times monotonic; last ``{"end": time}``. An unacknowledged write may or may not be in the database: nobody knows.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from lab import background
from lab.database import connect
from lab.errors import LabError
from lab.machines import inside

THREADS = 4
"""So that one write which waits for a dead server does not hide that others would go through."""
SECONDS = 1.5
"""How long a write may take before its connection is cut."""


class Writer:
    """Writes at ``rate`` a second, over all threads."""

    def __init__(self, ledger: Path, dsn: str, rate: float) -> None:
        self.dsn, self.pause = dsn, THREADS / rate
        self.file = ledger.open("x", encoding="utf-8")
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.next = int(time.time() * 1e6)
        self.note(wall=time.time() - time.monotonic())

    def note(self, **line: float) -> None:
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def number(self) -> int:
        with self.lock:
            self.next += 1
            return self.next

    def write(self) -> None:
        n, sent, ok = self.number(), time.monotonic(), True
        try:
            with connect(self.dsn, SECONDS) as connection:
                connection.execute("insert into writes(n) values (%s)", (n,))
        except psycopg.Error:
            ok = False
        self.note(n=n, ok=ok, sent=sent, at=time.monotonic())

    def loop(self) -> None:
        while not self.ending.is_set():
            begun = time.monotonic()
            self.write()
            self.ending.wait(max(0.0, self.pause - (time.monotonic() - begun)))


def main(ledger: Path, dsn: str, rate: float) -> None:
    writer = Writer(ledger, dsn, rate)
    threads = [threading.Thread(target=writer.loop) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    background.until_told()
    writer.ending.set()
    for thread in threads:
        thread.join()
    writer.note(end=time.monotonic())


def start(
    dsn: str, ledger: Path, rate: float = 50.0, *, at: tuple[Path, str] | None = None
) -> subprocess.Popen[bytes]:
    """Begin writing to a new ledger; ``stop`` ends it. ``dsn`` names no password.

    ``at``: the folder of a lab of machines and a host in whose network to write; it takes root. Raises LabError.
    """
    if ledger.exists():
        raise LabError(f"{ledger} exists already", hint="a ledger belongs to one writer")
    return background.start("lab.writer", ledger, dsn, str(rate), *map(str, at or ()))


stop = background.stop


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a record; a last one without its end is a write that was cut."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


@dataclass(frozen=True)
class Summary:
    """What a ledger says."""

    acknowledged: int
    failed: int
    longest_gap: float
    """Seconds without an acknowledgement, from the ledger's begin to its end; a gap at its end counts."""
    gap_began: float
    """Wall clock."""


def summary(ledger: Path) -> Summary:
    """Count and measure; the writer may still be at work. Raises OSError."""
    wall = acknowledged = failed = 0
    moments: list[float] = []
    ended = 0.0
    for line in lines(ledger):
        wall = line.get("wall", wall)
        ended = max(ended, line.get("at", 0.0), line.get("end", 0.0))
        if "n" in line:
            moments += [line["sent"]] if not moments else []
            acknowledged += line["ok"]
            failed += not line["ok"]
            moments += [line["at"]] if line["ok"] else []
    moments = [*sorted(moments), ended]
    pauses = ((later - earlier, earlier) for earlier, later in itertools.pairwise(moments))
    gap, began = max(pauses, default=(0.0, ended))  # a writer that has only just begun
    return Summary(acknowledged, failed, gap, wall + began)


def losses(ledger: Path, dsn: str) -> list[int]:
    """Acknowledged writes that are not in the database at ``dsn``. Raises psycopg.Error."""
    acknowledged = [line["n"] for line in lines(ledger) if line.get("ok")]
    with connect(dsn, 30) as connection:
        rows = connection.execute("select n from writes where n = any(%s)", (acknowledged,)).fetchall()
    return sorted(set(acknowledged) - {n for (n,) in rows})


if __name__ == "__main__":
    if len(sys.argv) > 4:
        inside.enter(Path(sys.argv[4]), sys.argv[5])
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 50.0)
