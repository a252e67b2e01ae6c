"""Several nodes on one PostgreSQL: they share, take over, and a frozen one does no harm."""

from __future__ import annotations

import signal
import time

from .conftest import ALL, Group

TAKEN_OVER = 10.0
"""Seconds within which a killed node's runs are driven on: the goal."""


def test_they_share_the_work(group: Group) -> None:
    nodes = {group.start(), group.start()}
    runs = {f"f{n}": group.run(f"f{n}") for n in range(8)}
    for name in runs:
        group.go(name)
    assert {group.ended(run) for run in runs.values()} == {"succeeded"}
    assert {driver for run in runs.values() for driver in group.claims(run)} == nodes
    assert all(len(group.claims(run)) == 1 for run in runs.values())
    assert all(group.marks(name) == ALL for name in runs)


def test_a_killed_nodes_run_is_taken_over(group: Group) -> None:
    run, first, second = group.at_work("file")
    killed = group.signal(first, signal.SIGKILL)
    group.until(lambda: group.driver(run) == second)
    took = time.monotonic() - killed
    group.go("file")
    assert group.ended(run) == "succeeded"
    assert group.claims(run) == [first, second]
    assert group.marks("file") == ALL
    print(f"taken over after {took:.1f} s")
    assert took < TAKEN_OVER


def test_a_node_that_ends_leaves_its_runs_to_others_at_once(group: Group) -> None:
    run, first, second = group.at_work("file")
    asked = group.signal(first, signal.SIGTERM)
    assert group.nodes[first].wait(5) == 0
    assert time.monotonic() - asked < 2
    group.until(lambda: group.driver(run) == second, 2.0)
    group.go("file")
    assert group.ended(run) == "succeeded"
    assert group.marks("file") == ALL
    assert [node.id for node in group.store.nodes()] == [second]


def test_a_frozen_one_does_no_harm_when_it_wakes(group: Group) -> None:
    run, first, second = group.at_work("file")
    group.signal(first, signal.SIGSTOP)
    group.go("file")
    assert group.ended(run) == "succeeded"
    assert group.claims(run) == [first, second]
    record = list(group.store.raw_entries(run=run))
    group.signal(first, signal.SIGCONT)
    group.until(lambda: next(n for n in group.store.nodes() if n.id == first).silent < 1)
    group.until(lambda: f"{run}: run {run} is driven under epoch 2" in group.log() or "has ended" in group.log())
    assert list(group.store.raw_entries(run=run)) == record
    assert group.marks("file") == ALL
    group.signal(second, signal.SIGTERM)
    another = group.run("another")
    group.go("another")
    assert group.ended(another) == "succeeded"
    assert group.claims(another) == [first], "it works on as if nothing had happened"
