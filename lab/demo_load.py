"""What the hospital does while its database fails over: a write load, patients who register, and a watcher."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

import lab
from lab import watcher, writer
from lab.errors import LabError

DEPARTMENTS = ("内科 Internal medicine", "外科 Surgery", "儿科 Paediatrics", "急诊 Emergency")
WRITES, REGISTRATIONS = 20.0, 4.0
"""A second: enough to see a gap of a tenth of one, and two cores are left for the rest."""


class Patients(threading.Thread):
    """Registers one after another at the service's address, and counts who was told a number."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.ending = f"{url}/api/registrations", threading.Event()
        self.acknowledged = self.failed = 0

    def run(self) -> None:
        while not self.ending.wait(1 / REGISTRATIONS):
            number = self.acknowledged + self.failed
            body = {"patient": f"patient {number}", "department": DEPARTMENTS[number % len(DEPARTMENTS)]}
            request = urllib.request.Request(self.url, json.dumps(body).encode())  # noqa: S310 - the lab's own http
            try:
                with urllib.request.urlopen(request, timeout=4) as answer:  # noqa: S310
                    told = answer.status == 201
            except OSError:
                told = False
            self.acknowledged += told
            self.failed += not told

    def stop(self) -> None:
        self.ending.set()
        self.join(10)


@dataclass(frozen=True)
class Proof:
    """What the load and the watcher say at the end. Seconds."""

    gap: float
    """The longest time in which no write through the proxy was acknowledged."""
    written: int
    written_lost: int
    registered: int
    registered_lost: int
    reigns: tuple[str, ...]
    """The databases that took writes, one after the other."""
    two_writers: int
    """Pairs of times at which two databases took writes."""


@dataclass
class Load:
    """All three, at work from ``begin`` to ``end``."""

    site: Path
    facts: Mapping[str, Any]
    running: list[Any] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.site / "writes.jsonl"

    @property
    def record(self) -> Path:
        return self.site / "watch.jsonl"

    def begin(self) -> None:
        """Raises LabError."""
        self.watching = watcher.start(self.facts["watch"], self.record)
        self.writing = writer.start(self.facts["dsn"]["proxy"], self.ledger, WRITES)
        self.patients = Patients(self.facts["urls"]["registration"])
        self.patients.start()

    def end(self) -> Proof:
        """Stop, count, and ask the databases what of it is there. Raises LabError where it can't be told."""
        self.patients.stop()
        writer.stop(self.writing)
        watcher.stop(self.watching)
        found = writer.summary(self.ledger)
        try:
            lost = len(writer.losses(self.ledger, self.facts["dsn"]["proxy"]))
        except psycopg.Error as error:
            raise LabError(f"what became of the writes can't be told: {str(error).strip()}") from None
        ledgers = [json.loads(lab.on_host(self.site, app, "app ledger")) for app in self.facts["apps"]]
        return Proof(
            found.longest_gap, found.acknowledged, lost,
            sum(x["acknowledged"] for x in ledgers), sum(x["missing"] for x in ledgers),
            tuple(reign.host for reign in watcher.reigns(self.record)), len(watcher.overlaps(self.record)),
        )  # fmt: skip
