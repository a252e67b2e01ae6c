"""What the registration service has acknowledged, on record on its own host, and what of it the database has lost.

The ledger is JSON lines ``{"id", "at", "acknowledged"}``: number and time (ISO 8601) of the registration as the
database gave them, and when it was acknowledged (wall clock, seconds). No patient's name is in it.

``python -m lab.ledger LEDGER PROXY`` compares its recent part with the database behind the proxy and prints
``{"acknowledged", "missing", "lost_seconds"}``. Exit 0 if it can be told, whatever it is; else 1, and why on stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from lab.database import connect
from lab.errors import LabError
from lab.layout import PG_PORT

RECENT = 1024 * 1024
"""Bytes of the ledger's end that are compared: some ten thousand registrations."""
SECONDS = 8.0
LOST = """select n, at from unnest(%s::bigint[], %s::timestamptz[]) as acknowledged(n, at)
          where not exists (select from registrations r where r.id = n and r.at = acknowledged.at)"""
"""By time as well as by number: a database that was thrown back gives the same numbers out again."""


class Ledger:
    """The writing side. One line is one write, so lines of several threads don't mix."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_DSYNC, 0o600)

    def note(self, number: int, at: datetime) -> None:
        """Before the answer goes out. Raises OSError: then nothing may be acknowledged."""
        line = json.dumps({"id": number, "at": at.isoformat(), "acknowledged": time.time()}) + "\n"
        os.write(self.file, line.encode())


def recent(path: Path, size: int = RECENT) -> tuple[list[dict[str, Any]], bool]:
    """The last lines, in the order of their acknowledgement, and whether they are all there are. Raises LabError."""
    try:
        with path.open("rb") as file:
            left_out = max(0, file.seek(0, os.SEEK_END) - size)
            file.seek(left_out)
            lines = file.read().splitlines()[1 if left_out else 0 :]
        found = [json.loads(line) for line in lines]
        return sorted(found, key=lambda line: float(line["acknowledged"])), not left_out
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"the ledger can't be read: {error}") from None


def lost(lines: list[dict[str, Any]], dsn: str) -> set[int]:
    """Positions of those that the database doesn't have. Raises LabError, psycopg.Error."""
    with connect(dsn, SECONDS) as connection:
        [(standby,)] = connection.execute("select pg_is_in_recovery()").fetchall()
        if standby:
            raise LabError("a standby answers, and may lag behind")
        rows = connection.execute(LOST, ([x["id"] for x in lines], [x["at"] for x in lines])).fetchall()
    gone = set(rows)
    return {n for n, x in enumerate(lines) if (x["id"], datetime.fromisoformat(x["at"])) in gone}


def compare(path: Path, dsn: str) -> dict[str, Any]:
    """What is lost, in registrations and seconds. Raises LabError, psycopg.Error.

    The seconds run from the last acknowledgement before the first that was lost, to the last that was lost: after the
    former the database knows nothing for certain, so even one lost registration is never 0 s.
    """
    lines, whole = recent(path)
    gone = lost(lines, dsn)
    if not gone:
        return {"acknowledged": len(lines), "missing": 0, "lost_seconds": 0.0}
    first, last = min(gone), max(gone)
    if first == 0 and not whole:
        raise LabError("more is lost than the recent part of the ledger holds")
    seconds = float(lines[last]["acknowledged"]) - float(lines[max(0, first - 1)]["acknowledged"])
    return {"acknowledged": len(lines), "missing": len(gone), "lost_seconds": max(0.001, round(seconds, 3))}


def main(path: Path, proxy: str) -> int:
    try:
        found = compare(path, f"host={proxy} port={PG_PORT} user=his dbname=his application_name=ledger")
    except (LabError, psycopg.Error) as error:
        print(f"ledger: it can't be told: {str(error).strip()}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
