"""Parking, deciding, waking, locks: nobody waits for what has come."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hisauto.audit.merkle import Head
from hisauto.errors import NotFound, RecordAway, Refused
from hisauto.model.run import RunState
from hisauto.store import engine
from hisauto.store.engine import open_store
from hisauto.store.journal import StoreJournal
from hisauto.store.store import Store

from .runs import START, HeldClock, decision, driven, kinds, log, requested, rows

R = RunState
GATE = {"kind": "gate", "id": "gate-1"}
LOCK = {"kind": "lock", "id": "locks"}


def _await(store: Store, run: str) -> None:
    deadline = time.monotonic() + 30
    while run not in store.awake():
        assert time.monotonic() < deadline, "nobody woke it"
        time.sleep(0.005)


def test_a_decision_wakes_who_waits_for_it(store: Store) -> None:
    journal = driven(store)
    wake_at = START + timedelta(minutes=10)
    assert journal.park(R.waiting, GATE, wake_at, journal.inbox())
    assert (journal.view().question, journal.view().wake_at) == (GATE, wake_at)
    assert list(store.awake()) == []
    assert store.decide(journal.run, decision())
    assert store.decide(journal.run, decision("dba-2"))
    assert list(store.awake()) == [journal.run]
    assert journal.inbox() == 2
    assert [each.person for each in journal.decisions("gate-1")] == ["dba-1", "dba-2"]
    assert journal.view().question == GATE, "it stays in sight until the run goes on"
    journal.move(R.running)
    assert (journal.view().question, journal.view().wake_at) == (None, None)


def test_a_decision_that_comes_before_parking_prevents_it(store: Store) -> None:
    journal = driven(store)
    seen = journal.inbox()
    store.decide(journal.run, decision())
    before = rows(store)
    assert journal.park(R.waiting, GATE, None, seen) is False
    assert rows(store) == before
    assert journal.park(R.waiting, GATE, None, journal.inbox()) is True


def test_no_decision_is_lost_between_the_look_and_the_parking(store: Store) -> None:
    """Drivers park and people decide at the same time; whoever is left parked has seen every decision."""
    journal = driven(store)
    people, go = 24, threading.Barrier(2)
    seen: set[str] = set()

    def decide() -> None:
        go.wait()
        for number in range(people):
            store.decide(journal.run, decision(f"dba-{number}"))

    def drive() -> None:
        go.wait()
        while True:
            before = journal.inbox()
            seen.update(each.person for each in journal.decisions("gate-1"))
            if journal.park(R.waiting, GATE, None, before):
                if len(seen) == people:
                    return
                _await(store, journal.run)

    with ThreadPoolExecutor(2) as pool:
        deciding, driving = pool.submit(decide), pool.submit(drive)
        deciding.result(60)
        driving.result(60)
    assert list(store.awake()) == []
    log(store)


def test_the_same_word_again_is_no_second_decision(store: Store) -> None:
    run = requested(store)
    assert store.decide(run, decision()) is True
    before = rows(store)
    assert store.decide(run, decision(reason="again", signature="another")) is False
    assert rows(store) == before


@pytest.mark.parametrize("other", [{"answer": "no"}, {"break_glass": True}], ids=str)
def test_nobody_answers_twice(store: Store, other: dict[str, Any]) -> None:
    run = requested(store)
    store.decide(run, decision())
    before = rows(store)
    with pytest.raises(Refused, match=f"dba-1 has answered gate-1 of run {run} already: yes"):
        store.decide(run, replace(decision(), **other))
    assert rows(store) == before
    assert store.decide(run, decision(question="gate-2", answer="no"))
    assert store.decide(run, decision("dba-2", answer="no"))


def test_two_words_of_one_person_at_once(store: Store) -> None:
    run = requested(store)

    def say(answer: str) -> str:
        try:
            return f"{answer} {store.decide(run, decision(answer=answer))}"
        except Refused:
            return "refused"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(say, ("yes", "no")))
    assert said in (["no True", "refused"], ["refused", "yes True"])
    assert kinds(store).count("decision") == 1


def test_a_decision_is_logged_whole(store: Store) -> None:
    run = requested(store)
    word = decision(card={"facts": ["x" * 40_000]}, signature="signed", break_glass=True, reason="ransomware")
    store.decide(run, word)
    entry = log(store)[-1]
    assert (entry.kind, entry.run, entry.actor) == ("decision", run, "dba-1")
    assert entry.data == {**vars(word), "card": word.card, "at": START.isoformat()}
    assert store.decisions(run) == [word]


def test_a_cancel_is_read_fresh(store: Store) -> None:
    journal = driven(store)
    assert journal.cancels() == []
    word = decision(question="cancel", answer="cancel")
    store.decide(journal.run, word)
    assert journal.cancels() == [word]


def test_deciding_on_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        store.decide("r-20261123-none", decision())
    journal = driven(store)
    journal.end(R.failed, {})
    before = rows(store)
    with pytest.raises(Refused, match="has ended"):
        store.decide(journal.run, decision())
    assert rows(store) == before


def test_time_wakes_each_run_once(store: Store, clock: HeldClock) -> None:
    early, late, never = driven(store), driven(store), driven(store)
    for journal, minutes in ((late, 20), (early, 10), (never, None)):
        wake_at = None if minutes is None else START + timedelta(minutes=minutes)
        journal.park(R.waiting, GATE, wake_at, journal.inbox())
    assert store.wake_due(START + timedelta(minutes=9, seconds=59)) == []
    assert store.wake_due(START + timedelta(minutes=10)) == [early.run]
    assert store.wake_due(START + timedelta(hours=1)) == [late.run]
    assert store.wake_due(START + timedelta(hours=2)) == []
    assert list(store.awake()) == sorted([early.run, late.run])


def test_two_openings_of_one_database_write_in_one_order(store: Store, url: str) -> None:
    """As a node and a command line do, in processes of their own: nothing but the database is between them."""
    other = open_store(url)
    journals = [driven(store), driven(other)]
    go = threading.Barrier(4)

    def note(journal: StoreJournal) -> None:
        go.wait()
        for number in range(25):
            journal.note(f"k{number}", number)

    def decide(to: Store, run: str) -> None:
        go.wait()
        for number in range(25):
            to.decide(run, decision(f"dba-{number}"))

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(note, journal) for journal in journals]
        jobs += [pool.submit(decide, to, journal.run) for to, journal in zip((other, store), journals, strict=True)]
        for job in jobs:
            job.result(60)
    assert [journal.inbox() for journal in journals] == [25, 25]
    other.close()
    assert kinds(store).count("note") == kinds(store).count("decision") == 50


# ---- locks


def test_locks_are_taken_all_or_none(store: Store) -> None:
    one, two = driven(store), driven(store)
    assert one.take_locks(["b", "c"]) == {}
    assert two.take_locks(["a", "b", "c", "d"]) == {"b": one.run, "c": one.run}
    assert [(lock.key, lock.run) for lock in store.locks()] == [("b", one.run), ("c", one.run)]
    assert one.take_locks(["c", "a"]) == {}, "more, with what it has"
    assert two.take_locks(["d"]) == {}
    assert two.take_locks([]) == {}


def test_a_lock_outlives_its_driver_and_not_its_run(store: Store) -> None:
    one, two = driven(store), driven(store)
    one.take_locks(["a"])
    again = store.claim(one.run, "node-b")
    assert again.take_locks(["a"]) == {}
    assert two.take_locks(["a"]) == {"a": one.run}
    again.end(R.failed, {})
    assert two.take_locks(["a"]) == {}


def test_the_end_of_a_run_wakes_who_waits_for_its_locks(store: Store, clock: HeldClock) -> None:
    holder, other = driven(store), driven(store)
    holder.take_locks(["a", "b"])
    other.take_locks(["z"])
    waiting = []
    for keys in (["b"], ["z"], ["a", "z"]):
        clock.sleep(1)
        journal = driven(store, state=R.queued)
        assert journal.take_locks(keys)
        assert journal.park(R.locking, LOCK, None, journal.inbox())
        waiting.append(journal.run)
    at_gate = driven(store)
    at_gate.park(R.waiting, GATE, None, at_gate.inbox())
    assert list(store.awake()) == sorted([holder.run, other.run])
    holder.end(R.failed, {})
    assert list(store.awake()) == [other.run, waiting[0], waiting[2]]


def test_a_lock_that_is_freed_before_the_parking_prevents_it(store: Store) -> None:
    holder, waiter = driven(store), driven(store, state=R.queued)
    holder.take_locks(["a"])
    assert waiter.take_locks(["a"]) == {"a": holder.run}
    holder.end(R.failed, {})
    assert waiter.park(R.locking, LOCK, None, waiter.inbox()) is False
    assert waiter.take_locks(["a"]) == {}


def test_many_runs_one_lock_each_gets_it_and_never_two(store: Store) -> None:
    """Drivers in threads that park and look for their wake-up, as a node does."""
    inside, most = [0], [0]

    def drive(run: str) -> None:
        while True:
            journal = store.claim(run, "node-a")
            if not journal.take_locks(["the one", run]):
                break
            if journal.park(R.locking, LOCK, None, journal.inbox()):
                _await(store, run)
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        journal.move(R.locking)
        inside[0] -= 1
        journal.end(R.cancelled, {})

    several = [requested(store) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(drive, several))
    assert most == [1]
    assert store.locks() == []
    assert {store.view(run).state for run in several} == {R.cancelled}
    log(store)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_who_is_frozen_in_mid_write_keeps_nobody_out(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped, or whose host is gone, holds the head of the log, and is made to let go of it."""
    monkeypatch.setitem(engine._SETTINGS, "options", "-c idle_in_transaction_session_timeout=300ms")
    run = requested(store)
    frozen = open_store(url, HeldClock())

    def freeze(_head: Head, _at: str) -> str:
        assert store.decide(run, decision())
        return "a checkpoint"

    with pytest.raises(RecordAway, match="idle-in-transaction timeout"):
        frozen.checkpoint(freeze)
    assert store.checkpoints() == []
    assert frozen.checkpoint(lambda _head, _at: "a checkpoint") == "a checkpoint"
    frozen.close()
