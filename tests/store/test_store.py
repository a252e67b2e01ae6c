"""Requests, versions, files, looking things up, nodes."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from hisauto.errors import Broken, NotFound, Refused, Superseded, UsageError
from hisauto.model.journal import Claimed
from hisauto.model.run import RunState
from hisauto.store.engine import open_store
from hisauto.store.rows import Node
from hisauto.store.schema import blobs
from hisauto.store.store import Store

from .runs import START, HeldClock, decision, driven, kinds, log, requested, rows, submission


def test_a_request_is_on_record_and_driven(store: Store) -> None:
    run = store.fresh_id()
    view = store.submit(submission(run, reported_at=START - timedelta(minutes=3)))
    assert list(store.awake()) == [run]
    assert (view.id, view.state, view.epoch, view.created_at) == (run, RunState.queued, 0, START)
    assert view.reported_at == START - timedelta(minutes=3)
    (entry,) = log(store)
    assert (entry.kind, entry.actor, entry.at) == ("run.requested", "duty-1", "2026-11-23T03:00:00.123Z")
    assert entry.data["plan"] == {"steps": [{"name": "promote"}]}
    assert entry.data["request"]["card"] == decision("x", "run", "yes").card


def test_ids_are_short_and_new(store: Store) -> None:
    several = {store.fresh_id() for _ in range(50)}
    assert len(several) == 50
    assert all(re.fullmatch(r"r-20261123-[0-9a-hjkmnp-tv-z]{4}", run) for run in several)


def test_a_taken_id_is_never_given(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = iter("aaaaaaaabbbb")
    monkeypatch.setattr("secrets.choice", lambda _: next(letters))
    assert requested(store) == "r-20261123-aaaa"
    assert store.fresh_id() == "r-20261123-bbbb"


def test_a_version_keeps_its_content(store: Store) -> None:
    requested(store)
    requested(store)
    requested(store, version="1.0.1", source_digest="sha256:two")
    requested(store, runbook="database-rejoin", source_digest="sha256:two")
    before = rows(store)
    with pytest.raises(Refused, match="sha256:one, and this one is sha256:two") as caught:
        requested(store, source_digest="sha256:two")
    assert caught.value.hint == "give the changed runbook a new version"
    assert rows(store) == before


def test_pinned_files(store: Store) -> None:
    files = [b"#!/bin/sh\n\0\xff", b"", b"#!/bin/sh\n\0\xff"]
    requested(store, blobs=files)
    requested(store, blobs=files)
    names = {hashlib.sha256(file).hexdigest(): file for file in files}
    assert {name: store.blob(name) for name in names} == names
    with pytest.raises(NotFound):
        store.blob("0" * 64)
    with store.engine.begin() as connection:
        connection.execute(blobs.update().values(content=b"tampered"))
    with pytest.raises(Broken, match="another content"):
        store.blob(next(iter(names)))


def test_a_large_plan_is_logged_by_its_digest(store: Store) -> None:
    plan = {"steps": ["x" * 20] * 2000}
    run = requested(store, plan=plan)
    assert log(store)[-1].data["plan"]["steps"].keys() == {"sha256", "bytes"}
    assert store.claim(run, "node-a").plan() == plan


def test_finding_a_run(store: Store) -> None:
    for tail in ("aaaa", "aabb", "ccaa"):
        store.submit(submission(f"r-20261123-{tail}"))
    assert store.find_run("r-20261123-aaaa").id == "r-20261123-aaaa"
    assert store.find_run("r-20261123-c").id == store.find_run("ccaa").id == "r-20261123-ccaa"
    for nothing in ("", "dddd", "%", "_aaa"):
        with pytest.raises(NotFound):
            store.find_run(nothing)
    with pytest.raises(UsageError, match="r-20261123-aaaa, r-20261123-aabb"):
        store.find_run("r-20261123-aa")
    with pytest.raises(NotFound):
        store.view("r-20261123-dddd")
    with pytest.raises(NotFound):
        store.claim("r-20261123-dddd", "node-a")


def test_listing_runs(store: Store, clock: HeldClock) -> None:
    old = requested(store)
    clock.sleep(1)
    new = driven(store).run
    clock.sleep(1)
    other = requested(store, runbook="database-rejoin")
    assert [view.id for view in store.runs()] == [other, new, old]
    assert [view.id for view in store.runs(limit=1)] == [other]
    assert [view.id for view in store.runs(states=[RunState.queued])] == [other, old]
    assert [view.id for view in store.runs(states=[])] == []
    assert [view.id for view in store.runs(runbook="database-failover", states=[RunState.running])] == [new]
    assert list(store.awake()) == [old, new, other]


def test_what_a_node_asks_all_the_time_reads_no_ended_runs(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hisauto.db")
    journal, asked = driven(store), []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    store.awake(), store.open(), store.wake_due(START), store.view(journal.run), journal.inbox()
    with store.engine.connect() as connection:
        for statement, values in asked[:]:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert steps[0].detail.startswith("SEARCH runs USING"), (statement, steps)
    store.close()


def test_nodes_say_that_they_live(store: Store, clock: HeldClock) -> None:
    store.beat("node-a", "orch1", 100)
    clock.sleep(5)
    store.beat("node-a", "orch1", 100)
    store.beat("node-b", "orch2", 7)
    assert kinds(store) == []
    if store.engine.dialect.name == "sqlite":  # it is alone there; PostgreSQL's own clock goes on by itself
        later = START + timedelta(seconds=5)
        clock.sleep(2)
        assert store.nodes() == [Node("node-b", "orch2", 7, later, later, 2.0, ())]
    else:
        assert [(node.id, node.host, node.pid, node.drives) for node in store.nodes()] == [
            ("node-a", "orch1", 100, ()),
            ("node-b", "orch2", 7, ()),
        ]
        assert all(0 <= node.silent < 60 for node in store.nodes())


def test_who_drives_is_on_record_from_the_claim_until_nobody_does(store: Store) -> None:
    run = requested(store)
    assert store.awake() == {run: Claimed(0, None, None)}
    store.beat("node-a", "orch1", 100)
    journal = store.claim(run, "node-a", epoch=0)
    store.beat("node-a", "orch1", 100)
    assert store.awake() == {run: Claimed(1, "node-a", 2)}
    assert [node.drives for node in store.nodes()] == [(run,)]
    store.leave("node-a")
    assert store.awake() == {run: Claimed(1, "node-a", None)}
    journal.move(RunState.locking)
    journal.park(RunState.locking, {"kind": "gate", "id": "g"}, None, 0)
    store.decide(run, decision())
    assert store.awake() == {run: Claimed(1, None, None)}


def test_of_two_who_take_over_one_does(store: Store) -> None:
    run = driven(store).run
    seen = store.awake()[run].epoch
    store.claim(run, "node-b", epoch=seen)
    with pytest.raises(Superseded, match="claimed by another node"):
        store.claim(run, "node-c", epoch=seen)
    assert store.awake()[run].node == "node-b"
