"""The audit log: appending to it durably, and verifying a large one, each beside the bare work in the same run.

``python -m benchmarks.audit [ENTRIES]``: that many to verify (default 1,000,000), and 4,000 to append per round.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.common import machine, report
from hisauto.audit import checkpoint, entry, export
from hisauto.audit.merkle import Head
from hisauto.audit.note import NodeKey
from hisauto.clock import SystemClock
from hisauto.store.database import Database
from hisauto.store.engine import open_store

APPENDS = 4_000
WRITERS = 8
"""Threads that append, as the attempts of many hosts do."""
ROUNDS = 3
KEY = NodeKey.generate("bench")
AT = "2026-11-23T03:00:00.000Z"
DATA = {"attempt": "4[app07].2#1", "host": "app07", "state": "done", "rc": 0, "took": 0.25}
ONE_CHECKPOINT = 1_000


def side_by_side(work: Callable[[], None]) -> float:
    """Seconds until all writers have done their share."""
    threads = [threading.Thread(target=work) for _ in range(WRITERS)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begun


def append(folder: Path) -> float:
    """Each entry in a durable transaction of its own, through the store's one way to write."""
    store = open_store(f"sqlite:///{folder}/hisauto.db")
    database = Database(store.engine, SystemClock())

    def work() -> None:
        for _ in range(APPENDS // WRITERS):
            with database.write() as writing:
                writing.log("attempt.done", None, "node-1", DATA)

    try:
        return side_by_side(work)
    finally:
        store.close()


def together(folder: Path) -> float:
    """All in one transaction: what the entry itself costs."""
    store = open_store(f"sqlite:///{folder}/hisauto.db")
    begun = time.monotonic()
    with Database(store.engine, SystemClock()).write() as writing:
        for _ in range(APPENDS):
            writing.log("attempt.done", None, "node-1", DATA)
    took = time.monotonic() - begun
    store.close()
    return took


def bare(folder: Path) -> float:
    """The peer: a row of the same length in a durable transaction of its own, without hash, chain or tree."""
    file, text, lock = folder / "bare.db", json.dumps(DATA) + "x" * 200, threading.Lock()
    with sqlite3.connect(file) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE log (seq INTEGER PRIMARY KEY, raw TEXT);")

    def work() -> None:
        with sqlite3.connect(file, timeout=60) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            for _ in range(APPENDS // WRITERS):
                with lock:
                    connection.execute("INSERT INTO log (raw) VALUES (?)", (text,))
                    connection.commit()

    return side_by_side(work)


def make(path: Path, count: int) -> None:
    """An export of so many entries, with a checkpoint now and then."""
    head, notes = Head(), list[str]()
    for raw in raws(count):
        head = head.append(raw)
        if head.size % ONE_CHECKPOINT == 0:
            notes.append(checkpoint.sign(head, "bench", AT, KEY))
    with path.open("wb") as sink:
        export.write(raws(count), notes, KEY, sink, head=head, site="bench", exported_at=AT, node_keys=[KEY.name])


def raws(count: int) -> Iterator[bytes]:
    last = Head().last
    for seq in range(count):
        raw = entry.Entry(seq, AT, "attempt.done", "r-20261123-k7f2", "node-1", DATA, last).raw
        last = hashlib.sha256(raw).hexdigest()
        yield raw


def verify(path: str, key: str) -> None:
    """In a process of its own, for its memory. In CPU seconds: a busy machine makes one thread wait, and no slower."""
    from hisauto.audit.note import VerifierKey

    begun = time.process_time()
    with Path(path).open("rb") as lines:
        found = export.verify(lines, [VerifierKey.parse(key)])
    took = time.process_time() - begun
    if not found.ok:
        raise SystemExit(f"the log that was made does not verify: {found.findings[0]}")
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def parse(path: str) -> None:
    """The peer: read each line as JSON, write it again, and hash it; no more than anybody has to do."""
    begun = time.process_time()
    with Path(path).open("rb") as lines:
        for line in lines:
            again = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            hashlib.sha256(again.encode()).digest()
    print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def apart(*args: str) -> tuple[float, float]:
    """CPU seconds and MiB of a part of this file in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.audit", *args]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def main(count: int) -> bool:
    about = machine() | {"entries": count, "appends": APPENDS, "writers": WRITERS}
    runs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        for number in range(ROUNDS):
            for name, work in {"append": append, "append together": together, "bare row": bare}.items():
                folder = Path(place) / f"{name}-{number}"
                folder.mkdir()
                runs.setdefault(name, []).append(work(folder))
        small, large = Path(place) / "small.jsonl", Path(place) / "large.jsonl"
        make(small, count // 10)
        make(large, count)
        key = str(KEY.verifier)
        _, little = apart("verify", str(small), key)
        seconds, memory = apart("verify", str(large), key)
        runs["verify (CPU)"] = [seconds]
        runs["parse and hash (CPU)"] = [apart("parse", str(large))[0]]
    rate = APPENDS / sorted(runs["append"])[ROUNDS // 2]
    print(f"append: {rate:.0f}/s, in one transaction {APPENDS / min(runs['append together']):.0f}/s, "
          f"bare rows {APPENDS / sorted(runs['bare row'])[ROUNDS // 2]:.0f}/s")  # fmt: skip
    print(f"verify: {little:.0f} MiB for {count // 10} entries, {memory:.0f} MiB for {count}")
    return report("audit", runs, {
        "append, ms each": (1000 / rate, 0.5),
        "verify, CPU s per million": (seconds * 1e6 / count, 60),
        "verify / parse and hash": (seconds / runs["parse and hash (CPU)"][0], 3),
        "verify, memory of ten times as many": (memory / little, 1.1),
    }, about)  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["verify", path, key]:
            verify(path, key)
        case ["parse", path]:
            parse(path)
        case given:
            sys.exit(0 if main(int(given[0]) if given else 1_000_000) else 1)
