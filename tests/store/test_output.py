"""Live output: gathered, bounded, and there when its attempt has ended."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hisauto.errors import Broken, Superseded
from hisauto.model.run import AttemptState, RunState
from hisauto.store import output
from hisauto.store.output import GATHER_UP_TO, OUTPUT_LIMIT, OUTPUT_MARK
from hisauto.store.store import Store

from .runs import driven, log, rows

A = AttemptState


@pytest.fixture
def for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written because time has passed."""
    monkeypatch.setattr(output, "GATHER_FOR", 3600.0)


def texts(store: Store, run: str) -> list[tuple[str, str, str]]:
    return [(piece.attempt, piece.stream, piece.text) for piece in store.outputs(run)]


def _join_timers() -> None:
    """A write in another thread is committed before it has put its connection back."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.usefixtures("for_ever")
def test_it_is_written_with_the_next_record(store: Store) -> None:
    journal = driven(store)
    before = rows(store)
    for text in "abc":
        journal.output("1#1", "out", text)
    journal.output("1#1", "err", "d")
    journal.output("1#1", "out", "e")
    assert rows(store) == before
    journal.record("1", 1, A.started)
    assert texts(store, journal.run) == [("1#1", "out", "abc"), ("1#1", "err", "d"), ("1#1", "out", "e")]
    journal.output("1#1", "out", "f")
    journal.record("1", 1, A.done)
    assert [piece.seq for piece in store.outputs(journal.run)] == [1, 2, 3, 4]
    assert [piece.text for piece in store.outputs(journal.run, after_seq=3)] == ["f"]
    journal.end(RunState.failed, {})
    journal.output("1#1", "out", "late")
    journal.note("receipts", "forgotten")
    assert texts(store, journal.run)[-1] == ("1#1", "out", "late")
    log(store)


@pytest.mark.usefixtures("for_ever")
def test_much_of_it_is_written_at_once(store: Store) -> None:
    journal = driven(store)
    before = log(store)
    journal.output("1#1", "out", "x" * (GATHER_UP_TO - 1))
    assert texts(store, journal.run) == []
    journal.output("1#1", "out", "y")
    assert [text[-2:] for _, _, text in texts(store, journal.run)] == ["xy"]
    assert log(store) == before


@pytest.mark.usefixtures("for_ever")
def test_ten_thousand_lines_are_a_few_rows(store: Store) -> None:
    """More than is kept: neither its size nor the number of writes goes with the number of lines."""
    journal = driven(store)
    for number in range(10_000):
        journal.output("1#1", "out", f"{number:099}\n")
    journal.record("1", 1, A.started)
    written = texts(store, journal.run)
    assert sum(len(text) for _, _, text in written) == OUTPUT_LIMIT + len(OUTPUT_MARK)
    assert len(written) <= OUTPUT_LIMIT // GATHER_UP_TO + 1


def test_it_does_not_wait_long_for_more(store: Store) -> None:
    journal = driven(store)
    deadline = time.monotonic() + 20
    for number in (1, 2):
        journal.output("1#1", "out", f"waiting, {number}")
        while len(texts(store, journal.run)) < number:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    _join_timers()


@pytest.mark.usefixtures("for_ever")
def test_a_write_that_fails_loses_and_doubles_nothing(store: Store) -> None:
    journal = driven(store)
    journal.output("1#1", "out", "one")
    before = rows(store)
    with pytest.raises(Broken):
        journal.record("1", 1, A.undone)
    assert rows(store) == before
    journal.output("1#1", "out", " two")
    journal.record("1", 1, A.started)
    assert texts(store, journal.run) == [("1#1", "out", "one two")]


def test_an_older_epoch_writes_none(store: Store) -> None:
    old = driven(store)
    new = store.claim(old.run, "node-b")
    before = rows(store)
    old.output("1#1", "out", "too late")
    _join_timers()
    with pytest.raises(Superseded):
        old.output("1#1", "out", "x" * GATHER_UP_TO)
    with pytest.raises(Superseded):
        old.record("1", 1, A.started)
    _join_timers()
    assert rows(store) == before
    new.output("1#1", "out", "new")
    new.record("1", 1, A.started)
    assert texts(store, new.run) == [("1#1", "out", "new")]


@pytest.mark.usefixtures("for_ever")
def test_it_is_bounded(store: Store) -> None:
    journal = driven(store)
    journal.output("1#1", "err", "")
    journal.output("1#1", "out", "one\0two\ud800")
    journal.output("1#1", "out", "x" * OUTPUT_LIMIT)
    journal.output("1#1", "out", "dropped")
    journal.output("2#1", "out", "another attempt's")
    journal.record("2", 1, A.started)
    journal = store.claim(journal.run, "node-b")
    journal.output("1#1", "out", "dropped as well")
    journal.output("2#1", "out", " goes on")
    journal.record("2", 1, A.done)
    (_, _, first), *others = texts(store, journal.run)
    assert first.startswith("one\ufffdtwo?xx")
    assert first.endswith("x" + OUTPUT_MARK)
    assert len(first) == OUTPUT_LIMIT + len(OUTPUT_MARK)
    assert others == [("2#1", "out", "another attempt's"), ("2#1", "out", " goes on")]
    assert [piece.seq for piece in store.outputs(journal.run)] == [1, 2, 3]


def test_threads_that_speak_at_once_are_all_heard(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "GATHER_FOR", 0.002)
    journal = driven(store)

    def speak(number: int) -> None:
        journal.record(str(number), 1, A.started)
        for line in range(200):
            journal.output(f"{number}#1", "out", f"{line}\n")
        journal.record(str(number), 1, A.done)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(speak, range(4)))
    pieces = store.outputs(journal.run)
    assert [piece.seq for piece in pieces] == list(range(1, len(pieces) + 1))
    for number in range(4):
        heard = "".join(piece.text for piece in pieces if piece.attempt == f"{number}#1")
        assert heard.split() == [str(line) for line in range(200)]
    log(store)
