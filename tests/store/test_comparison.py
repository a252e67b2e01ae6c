"""Rows that were edited by hand are found by the log; rows that nobody edited never are."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from hisauto.model.run import AttemptState, RunState
from hisauto.store.engine import open_store
from hisauto.store.journal import StoreJournal
from hisauto.store.store import Store
from hisauto.store.values import for_log, tells

from .runs import START, HeldClock, against, decision, driven, log, submission

WORDY = "x" * 20_000


def lived(store: Store) -> str:
    """A run of which every table has rows, some too large for the log, and another that goes on."""
    run = store.submit(submission("r-1", plan={"steps": [WORDY, {"stdout": "out"}]})).id
    journal = store.claim(run, "node-a")
    for state in (RunState.locking, RunState.guarding, RunState.running):
        journal.move(state)
    journal.take_locks(["db"])
    journal.note("hosts:1", ["db1", "db2"], kind="hosts")
    journal.note("nothing", None)
    attempt(journal, "1[db1]", result={"stdout": WORDY, "exit": 0})
    attempt(journal, "2[db2]", intent={"a": WORDY, "b": {"c": "y" * 9_000}}, result={"why": "z" * 9_000})
    store.decide(run, decision("dba-1"))
    journal.move(RunState.verifying)
    journal.end(RunState.succeeded, {"rto": 12.0, "left": []})
    other = driven(store)
    other.take_locks(["web"])
    other.record("1[a]", 1, AttemptState.started, name="go", host="a")
    store.decide(other.run, decision("dba-1", "gate:1"))
    other.park(RunState.waiting, {"kind": "gate", "id": "gate:1"}, START, 1)
    return run


def attempt(journal: StoreJournal, path: str, *, result: Any, **more: Any) -> None:
    journal.record(path, 1, AttemptState.started, name="step", host="db1", **more)
    journal.record(path, 1, AttemptState.done, result=result)


def test_what_nobody_edited_is_not_found(store: Store) -> None:
    lived(store)
    assert log(store)
    assert [one.known for one in store.compared()] == [True, True]


CORRUPTIONS = {
    "a run's end": (
        "UPDATE runs SET state = 'failed' WHERE id = 'r-1'",
        "run r-1: state in runs is failed in the table, and succeeded in the log",
    ),
    "when it ended": ("UPDATE runs SET ended_at = '2026-11-24T03:00:00.000000+00:00' WHERE id = 'r-1'", "ended_at"),
    "its end taken back": (
        "UPDATE runs SET state = 'running', ended_at = NULL WHERE id = 'r-1'",
        "ended_at in runs is None",
    ),
    "its summary": (
        "UPDATE runs SET summary = '{\"rto\": 1.0, \"left\": []}' WHERE id = 'r-1'",
        "summary in runs is {'rto': 1.0",
    ),
    "its plan": ("UPDATE runs SET plan = '{\"steps\": []}' WHERE id = 'r-1'", "plan in runs is {'steps': []}"),
    "who asked": ("UPDATE runs SET requester = 'eve' WHERE id = 'r-1'", "requester in runs is eve"),
    "what was signed for it": ("UPDATE runs SET request = '{}' WHERE id = 'r-1'", "request in runs is {}"),
    "when it was reported": ("UPDATE runs SET reported_at = '2026-11-23T02:00:00.000000+00:00'", "reported_at"),
    "its epoch": ("UPDATE runs SET epoch = 9 WHERE id = 'r-1'", "epoch in runs is 9"),
    "how many answered": ("UPDATE runs SET inbox = 0 WHERE id = 'r-1'", "inbox in runs is 0"),
    "what it asks": ("UPDATE runs SET question = NULL WHERE id <> 'r-1'", "question in runs is None"),
    "when it wakes": ("UPDATE runs SET wake_at = NULL WHERE id <> 'r-1'", "wake_at in runs is None"),
    "an attempt's state": (
        "UPDATE attempts SET state = 'failed' WHERE path = '1[db1]'",
        "run r-1: state in attempts 1[db1]#1 is failed in the table, and done in the log",
    ),
    "an attempt's host": ("UPDATE attempts SET host = NULL WHERE path = '1[db1]'", "host in attempts 1[db1]#1 is None"),
    "an attempt's order": ("UPDATE attempts SET seq = 7 WHERE path = '1[db1]'", "seq in attempts 1[db1]#1 is 7"),
    "output that is there by digest": (
        'UPDATE attempts SET result = \'{"stdout": "other", "exit": 0}\' WHERE path = \'1[db1]\'',
        "result in attempts 1[db1]#1 is",
    ),
    "an attempt's intent": (
        "UPDATE attempts SET intent = '{\"a\": 1}' WHERE path = '2[db2]'",
        "intent in attempts 2[db2]#1 is {'a': 1}",
    ),
    "an attempt taken out": (
        "DELETE FROM attempts WHERE path = '1[db1]'",
        "attempts 1[db1]#1 is in the log, and not in the table",
    ),
    "an attempt put in": (
        "UPDATE attempts SET n = 2 WHERE path = '1[db1]'",
        "attempts 1[db1]#2 is in the table, and not in the log",
    ),
    "a note": ("UPDATE memos SET value = '[\"db1\"]' WHERE key = 'hosts:1'", "value in memos hosts:1 is ['db1']"),
    "a note taken out": ("DELETE FROM memos WHERE key = 'hosts:1'", "memos hosts:1 is in the log, and not"),
    "an answer": (
        "UPDATE decisions SET answer = 'no' WHERE question = 'gate-1'",
        "answer in decisions gate-1 dba-1 is no in the table, and yes",
    ),
    "who answered": (
        "UPDATE decisions SET person = 'eve' WHERE question = 'gate-1'",
        "decisions gate-1 eve is in the table, and not in the log",
    ),
    "an answer's signature": (
        "UPDATE decisions SET signature = 'x' WHERE question = 'gate-1'",
        "signature in decisions gate-1 dba-1 is x",
    ),
    "a broken glass": (
        "UPDATE decisions SET break_glass = true WHERE question = 'gate-1'",
        "break_glass in decisions gate-1 dba-1 is True",
    ),
    "an answer taken out": ("DELETE FROM decisions WHERE question = 'gate-1'", "is in the log, and not in the table"),
    "a lock taken away": ("DELETE FROM locks", "locks web is in the log, and not in the table"),
    "a lock given to another": ("UPDATE locks SET run = 'r-1'", "run r-1: locks web is in the table, and not"),
    "an entry of another run": ("UPDATE audit_entries SET run = 'r-1' WHERE run <> 'r-1'", "the columns beside"),
    "an entry of no run": (
        'UPDATE audit_entries SET run = NULL WHERE raw LIKE \'%"kind":"decision"%\'',
        "the columns beside",
    ),
    "an entry's hash": ("UPDATE audit_entries SET hash = 'x' WHERE run = 'r-1'", "the columns beside"),
    "JSON that is none": ("UPDATE attempts SET result = '{' WHERE path = '1[db1]'", "run r-1 can't be read"),
    "JSON that has no canonical form": ("UPDATE memos SET value = 'NaN' WHERE key = 'hosts:1'", "is nan in"),
    "a moment that is none": ("UPDATE decisions SET at = 'soon' WHERE question = 'gate-1'", "run r-1 can't be read"),
}
NO_JSON = {"JSON that is none", "JSON that has no canonical form"}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_edit_by_hand_is_found_and_named(store: Store, name: str) -> None:
    lived(store)
    statement, expected = CORRUPTIONS[name]
    if store.engine.dialect.name == "postgresql" and name in NO_JSON:
        pytest.skip("PostgreSQL's JSON columns take no such thing")
    with store.engine.begin() as connection:
        assert connection.exec_driver_sql(statement.replace("%", "%%" if "psycopg" in store.engine.driver else "%"))
    found = against(store)
    assert [one for one in found if expected in one], found


def test_a_run_that_was_taken_out_or_put_in_is_found(store: Store) -> None:
    run = store.submit(submission("r-1")).id
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET id = 'r-2'"))
    assert sorted(against(store)) == [
        "entry 0: run r-1: runs is in the log, and not in the table",
        "run r-2 is in the table, and the log has nothing of it",
    ]
    assert run == "r-1"


def test_what_others_write_meanwhile_is_no_finding(store: Store, url: str) -> None:
    ended, writers = threading.Event(), open_store(url, HeldClock())

    def work() -> None:
        while not ended.is_set():
            journal = driven(writers)
            attempt(journal, "1[db1]", result={})
            journal.note("k", 1)
            journal.end(RunState.failed, {})

    thread = threading.Thread(target=work)
    thread.start()
    try:
        seen = 0
        while seen < 300:
            assert against(store) == []
            seen += sum(1 for _ in store.compared())
    finally:
        ended.set()
        thread.join()
        writers.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])) | st.integers(9_000, 40_000).map(lambda length: "x" * length),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["a", "b", "stdout", "sha256", "bytes"]), inner),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_the_log_tells_what_was_logged(value: Any) -> None:
    assert tells(for_log(value), value)
    assert not tells(for_log(value), [value])


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 20_000).map(lambda length: "x" * length)))
def test_what_is_too_large_together_is_shortened_from_its_largest(value: dict[str, str]) -> None:
    logged = for_log(value)
    assert logged.keys() == value.keys(), "what an entry is about can be read"
    kept = [len(value[key]) for key in value if logged[key] == value[key]]
    assert all(len(value[key]) >= max(kept, default=0) for key in value if logged[key] != value[key])


def test_a_run_that_was_put_into_an_empty_log_is_found(store: Store) -> None:
    store.submit(submission("r-1"))
    with store.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM audit_entries"))
    assert against(store) == ["run r-1 is in the table, and the log has nothing of it"]
