"""A journal under its epoch: what it writes, what it refuses, and what the log says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from hisauto.errors import Broken, HisautoError, Invalid, Superseded
from hisauto.model.journal import Journal
from hisauto.model.run import ATTEMPT_MOVES, RUN_MOVES, AttemptState, RunState
from hisauto.store.engine import open_store
from hisauto.store.journal import StoreJournal
from hisauto.store.schema import attempts, runs
from hisauto.store.store import Store

from .runs import START, HeldClock, decision, driven, kinds, log, requested, rows, submission

A: TypeAlias = AttemptState
R: TypeAlias = RunState
WAIT = {"kind": "gate", "id": "gate-1"}
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""For tables of cases in which the database makes no difference."""

WRITES: dict[str, Callable[[StoreJournal], Any]] = {
    "note": lambda journal: journal.note("hosts", ["db1"], kind="hosts"),
    "record": lambda journal: journal.record("1", 1, A.started, name="fence", host="db1", intent={"argv": ["true"]}),
    "record again": lambda journal: journal.record("0", 1, A.done, result={"rc": 0}),
    "illegal record": lambda journal: journal.record("0", 1, A.undone),
    "move": lambda journal: journal.move(R.waiting),
    "stay": lambda journal: journal.move(R.running),
    "locks": lambda journal: journal.take_locks(["service:db"]),
    "park": lambda journal: journal.park(R.waiting, WAIT, None, journal.inbox()),
    "end": lambda journal: journal.end(R.failed, {"why": "tried"}),
}


def test_it_is_what_the_engine_was_promised(store: Store) -> None:
    journal: Journal = driven(store)
    assert journal.epoch == 1
    assert journal.plan() == {"steps": [{"name": "promote"}]}
    assert journal.request() == decision("duty-1", "run", "yes", reason="primary is dark")
    view = journal.view()
    assert (view.requester, view.reason, view.incident, view.level) == ("duty-1", "primary is dark", "INC-7", 1)
    assert (view.created_at, view.reported_at, view.ended_at) == (START, START, None)


@on_sqlite
@pytest.mark.parametrize("name", WRITES)
def test_an_older_epoch_writes_nothing(store: Store, name: str) -> None:
    old = driven(store)
    old.record("0", 1, A.started)
    new = store.claim(old.run, "node-b")
    assert new.epoch == old.epoch + 1
    before = rows(store)
    with pytest.raises(Superseded):
        WRITES[name](old)
    assert rows(store) == before
    if name == "illegal record":
        with pytest.raises(Broken):
            WRITES[name](new)
    else:
        WRITES[name](new)


@on_sqlite
@pytest.mark.parametrize("name", [name for name in WRITES if name not in ("stay", "illegal record")])
def test_each_change_is_one_entry(store: Store, name: str) -> None:
    journal = driven(store)
    journal.record("0", 1, A.started)
    before = log(store)
    WRITES[name](journal)
    new = log(store)[len(before) :]
    assert [(entry.run, entry.actor) for entry in new] == [(journal.run, "node-a")]


def test_what_changes_nothing_is_no_entry(store: Store) -> None:
    journal = driven(store)
    journal.take_locks(["a"])
    journal.note("k", 1)
    before = log(store)
    journal.take_locks(["a"])
    journal.note("k", 2)
    journal.move(R.running, why="staying is no move")
    assert journal.park(R.waiting, WAIT, None, journal.inbox() - 1) is False
    assert log(store) == before


def test_the_story_of_a_run(store: Store) -> None:
    journal = driven(store)
    journal.take_locks(["b", "a"])
    journal.note("guards", {"lag": 0}, kind="guards")
    journal.record("1", 1, A.started, name="fence", host="db1", intent={"argv": ["true"]})
    journal.record("1", 1, A.done, result={"rc": 0, "stdout": "secret-free output", "stderr": "", "why": "expect held"})
    journal.move(R.verifying)
    journal.end(R.succeeded, {"rto": 4.5})
    assert kinds(store, journal.run) == [
        "run.requested", "drive.claimed", "run.state", "run.state", "run.state", "lock.taken", "guards",
        "attempt.started", "attempt.done", "run.state", "run.ended", "lock.freed",
    ]  # fmt: skip
    said = {entry.kind: entry.data for entry in log(store)}
    assert said["drive.claimed"] == {"epoch": 1, "node": "node-a"}
    assert said["lock.taken"] == said["lock.freed"] == {"keys": ["a", "b"]}
    done = said["attempt.done"]
    assert (done["path"], done["n"], done["name"], done["host"]) == ("1", 1, "fence", "db1")
    assert done["result"]["rc"] == 0
    assert done["result"]["stdout"]["bytes"] == len("secret-free output")
    assert said["run.ended"]["state"] == "succeeded"
    assert said["run.requested"]["request"]["signature"] == "-----BEGIN SSH SIGNATURE-----"


def test_attempts_keep_their_order_and_their_story(store: Store, clock: HeldClock) -> None:
    journal = driven(store)
    journal.record("2", 1, A.started, name="late", host="db2", intent={"argv": ["a"]})
    journal.record("1", 1, A.already)
    clock.sleep(2)
    journal.record("2", 1, A.done, result={"rc": 0})
    clock.sleep(2)
    undone = journal.record("2", 1, A.undone)
    assert (undone.name, undone.host, undone.intent, undone.result) == ("late", "db2", {"argv": ["a"]}, {"rc": 0})
    assert undone.started_at == START
    assert undone.ended_at is not None
    assert (undone.ended_at - START).total_seconds() == 2
    assert [attempt.id for attempt in journal.attempts()] == ["2#1", "1#1"]
    assert journal.attempts() == store.attempts(journal.run) == store.claim(journal.run, "node-b").attempts()


def test_started_again_by_a_newer_epoch(store: Store) -> None:
    old = driven(store)
    old.record("1", 1, A.started, intent={"place": "boot-1"})
    new = store.claim(old.run, "node-b")
    again = new.record("1", 1, A.started, intent={"place": "boot-2"})
    assert (again.epoch, again.intent, again.seq, again.started_at) == (2, {"place": "boot-2"}, 1, START)
    assert store.attempts(new.run) == [again]


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('moves')}/hisauto.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def moving(lasting: Store) -> StoreJournal:
    return driven(lasting)


@pytest.mark.parametrize("state", A)
@pytest.mark.parametrize("move", A)
def test_attempts_move_only_as_the_table_says(lasting: Store, moving: StoreJournal, state: A, move: A) -> None:
    store, journal, path = lasting, moving, f"{state}-{move}"
    settled = [A.started, A.done]
    way = {A.done: [A.started], A.in_doubt: [A.started], A.undone: settled, A.undo_failed: settled}
    for step in [*way.get(state, []), state]:
        journal.record(path, 1, step)
    before = log(store)
    if move in ATTEMPT_MOVES[state]:
        assert journal.record(path, 1, move).state == move
        assert [entry.kind for entry in log(store)[len(before) :]] == [f"attempt.{move}"]
    else:
        with pytest.raises(Broken, match=f"from {state} to {move}"):
            journal.record(path, 1, move)
        assert log(store) == before
        assert journal.attempt(path, 1) == next(each for each in store.attempts(journal.run) if each.path == path)


@pytest.mark.parametrize("state", [state for state in R if not state.ended])
def test_runs_move_only_as_the_table_says(lasting: Store, state: R) -> None:
    store, run = lasting, requested(lasting)
    journal = store.claim(run, "node-a")
    for move in R:
        with store.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(state=str(state)))
        before = rows(store)
        if move in RUN_MOVES[state] and not move.ended:
            journal.move(move)
            assert store.view(run).state == move
        elif move != state:
            with pytest.raises(Broken):
                journal.move(move)
            assert rows(store) == before
        if not move.ended or move not in RUN_MOVES[state]:
            before = rows(store)
            with pytest.raises(Broken):
                journal.end(move, {})
            assert rows(store) == before


def test_after_its_end_a_run_takes_notes_and_nothing_else(store: Store) -> None:
    journal = driven(store)
    journal.record("0", 1, A.started)
    journal.end(R.failed, {"why": "tried"})
    assert journal.view().summary == {"why": "tried"}
    assert journal.view().ended_at == START
    before = rows(store)
    for name in ("record", "record again", "move", "stay", "locks", "park", "end"):
        with pytest.raises(Broken, match="has ended"):
            WRITES[name](journal)
    assert rows(store) == before
    journal.note("receipts", "forgotten")
    with pytest.raises(Superseded, match="nothing to drive"):
        store.claim(journal.run, "node-b")


def test_a_note_is_written_once(store: Store) -> None:
    journal = driven(store)
    assert journal.recall("hosts") is None
    assert journal.note("hosts", ("db1", "db2"), kind="hosts") == ["db1", "db2"]
    assert journal.note("hosts", ["other"]) == ["db1", "db2"]
    assert journal.note("nothing", None) is None
    assert journal.note("nothing", "else") is None
    again = store.claim(journal.run, "node-b")
    assert again.recall("hosts") == ["db1", "db2"]
    assert again.note("nothing", "else") is None
    assert kinds(store).count("hosts") == 1


def test_threads_that_note_the_same_thing_agree(store: Store) -> None:
    journal = driven(store)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda number: journal.note("who", number), range(32)))
    assert len(set(said)) == 1
    assert kinds(store).count("note") == 1


def test_threads_that_record_at_once_are_put_in_one_order(store: Store) -> None:
    journal = driven(store)

    def attempt(number: int) -> None:
        journal.record(f"4[{number}]", 1, A.started)
        journal.record(f"4[{number}]", 1, A.done)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(40)))
    stored = store.attempts(journal.run)
    assert [each.seq for each in stored] == list(range(1, 41))
    assert {each.state for each in stored} == {A.done}
    assert list(journal.attempts()) == stored
    assert kinds(store).count("attempt.started") == kinds(store).count("attempt.done") == 40


@on_sqlite
@pytest.mark.parametrize("bad", [float("nan"), {1, 2}, b"bytes", "\ud800"], ids=repr)
def test_what_is_not_json_is_refused_and_nothing_is_written(store: Store, bad: Any) -> None:
    journal = driven(store)
    before = rows(store)
    for write in (
        lambda: journal.note("k", bad),
        lambda: journal.record("1", 1, A.started, intent={"bad": bad}),
        lambda: journal.park(R.waiting, {"kind": "gate", "bad": bad}, None, 0),
        lambda: journal.end(R.failed, {"bad": bad}),
    ):
        with pytest.raises(Invalid):
            write()
    assert rows(store) == before
    assert journal.attempts() == []


def test_large_values_and_integers_are_kept_whole_and_logged_small(store: Store) -> None:
    journal = driven(store)
    result = {"rc": 0, "stdout": "ä" * 100_000, "rows": [[n, "x" * 20] for n in range(2000)], "id": 2**60}
    journal.record("1", 1, A.started)
    journal.record("1", 1, A.done, result=result)
    assert store.attempts(journal.run)[0].result == result
    entry = log(store)[-1]
    assert len(entry.raw) < 2000
    assert entry.data["result"]["rc"] == 0
    assert entry.data["result"]["stdout"]["bytes"] == 200_000
    assert entry.data["result"]["rows"].keys() == {"sha256", "bytes"}
    assert entry.data["result"]["id"] == str(2**60)


def test_a_row_that_appeared_behind_its_back_is_no_traceback(store: Store) -> None:
    journal = driven(store)
    journal.record("1", 1, A.started)
    with store.engine.begin() as connection:
        connection.execute(attempts.update().values(path="2"))
    before = rows(store)
    with pytest.raises(HisautoError, match="refused") as caught:
        journal.record("2", 1, A.started)
    assert "INSERT" not in str(caught.value)
    assert rows(store) == before


def test_submission_ids(store: Store) -> None:
    with pytest.raises(HisautoError, match="there is a run"):
        store.submit(submission(requested(store)))
