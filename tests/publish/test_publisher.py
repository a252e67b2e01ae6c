"""The publisher: a place that is dead, slow or back again, and nothing that is lost meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hisauto.audit import checkpoint
from hisauto.audit.merkle import Head
from hisauto.errors import HisautoError
from hisauto.publish import publisher
from hisauto.publish.publisher import Publisher
from hisauto.store.engine import open_store
from hisauto.store.store import Store

from ..audit.logs import KEY, SITE
from ..store.runs import HeldClock, driven
from ..transports.places import until


@dataclass
class Shelf:
    """A place in memory that can be broken."""

    name: str
    why: str = ""
    notes: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    tries: int = 0
    closed: bool = False
    answers: bool = True

    def __post_init__(self) -> None:
        self.gate.set()

    def append(self, notes: Sequence[str]) -> None:
        self.gate.wait(20)
        self.tries += 1
        if self.why == "bug":
            raise ZeroDivisionError
        if self.why:
            raise HisautoError(self.why)
        self.notes += notes

    def read(self) -> str | None:
        return None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/hisauto.db", HeldClock())
    yield opened
    opened.close()


class Log:
    """A log that grows and is signed."""

    def __init__(self, store: Store) -> None:
        self.store, self.journal, self.signed = store, driven(store), list[str]()

    def grow(self) -> None:
        self.journal.note(f"k{len(self.signed)}", 1)
        text = self.store.checkpoint(lambda head, at: self._sign(head, at))
        assert text
        self.signed.append(text)

    def _sign(self, head: Head, at: str) -> str:
        return checkpoint.sign(head, SITE, at, KEY)


def test_all_of_it_reaches_every_place_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "_BATCH", 2)
    log, a, b = Log(store), Shelf("a"), Shelf("b")
    for _ in range(5):
        log.grow()
    Publisher(store, [a, b]).push()
    assert a.notes == b.notes == log.signed
    assert a.tries == 3
    Publisher(store, [a, b]).push()
    assert a.notes == log.signed, "once is enough, also for the next node"


def test_a_dead_place_disturbs_no_other_and_gets_all_of_it_when_it_is_back(store: Store) -> None:
    log, dead, well = Log(store), Shelf("dead", "no route to host"), Shelf("well")
    ours = Publisher(store, [dead, well])
    for _ in range(3):
        log.grow()
        ours.push()
    assert (dead.notes, well.notes) == ([], log.signed)
    assert (known := store.published("dead")).failing_since and known.why == "no route to host"
    assert store.published("well").failing_since is None
    dead.why = ""
    ours.push()
    assert dead.notes == log.signed
    assert (known := store.published("dead")).failing_since is None and known.size == store.head().size


@pytest.mark.parametrize("why", ["no route to host", "bug"], ids=["it is away", "a mistake of ours"])
def test_a_node_tries_again_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(publisher, "AGAIN", 0.02)
    log, place = Log(store), Shelf("a", why)
    log.grow()
    with Publisher(store, [place]).working():
        until(lambda: place.tries > 2, "tried again")
        place.why = ""
        until(lambda: place.notes == log.signed, "published in the end")


def test_a_place_that_hangs_holds_nobody_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "LAST", 0.1)
    log, slow, well = Log(store), Shelf("slow"), Shelf("well")
    slow.gate.clear()
    ours = Publisher(store, [slow, well])
    with ours.working():
        for _ in range(3):
            log.grow()
            ours.push()  # as a drive does it that has parked at a gate
        until(lambda: well.notes == log.signed, "the other place has them")
    assert slow.notes == [], "and the node has ended without it"
    slow.gate.set()


def test_what_was_signed_last_goes_out_before_a_node_ends(store: Store) -> None:
    log, place = Log(store), Shelf("a")
    for _ in range(20):
        with Publisher(store, [place]).working():
            log.grow()
    assert place.notes == log.signed and place.closed
