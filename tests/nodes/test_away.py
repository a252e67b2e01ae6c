"""PostgreSQL is restarted or away in mid-run, or a node freezes in mid-write: nothing is lost or happens twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import ALL, PATIENCE, Group

AWAY = 60.0 if os.environ.get("HISAUTO_TORTURE") else 8.0
"""Seconds: more than the silence after which a node is taken for dead."""


@pytest.mark.parametrize("during", ["the step", "the gate"])
def test_the_record_goes_away_and_comes_back(group: Group, during: str) -> None:
    node = group.start()
    at_gate = during == "the gate"
    if at_gate:
        run = group.site.started("hello", f"folder={group.site.root}")
        group.site.waiting(run, "gate")
    else:
        run = group.run("file")
        group.until(lambda: group.marks("file") == ["begun"])
    watcher = group.site.start("watch", run)
    assert watcher.stdout is not None
    watcher.stdout.readline()  # it watches
    before = list(group.store.raw_entries(run=run))
    group.server.stop(signal.SIGINT)
    try:
        refused = group.site.invoke("runs")
        assert refused.exit_code == 5, refused.output
        assert "the database" in refused.stderr and "can't be used" in refused.stderr
        assert "hint: nothing is lost" in refused.stderr and "Traceback" not in refused.stderr
        group.until(lambda: "it is tried again until it is back" in group.log())
        group.go("file")  # the step ends while nobody can write it down
        if not at_gate:
            group.until(lambda: group.marks("file") == ["begun", "ended"])
        time.sleep(AWAY)
        assert group.nodes[node].poll() is None
    finally:
        group.server.start()
    if at_gate:
        for who in ("dba-1", "duty-1"):
            said = group.site.invoke("approve", run, "--yes", who=who)
            assert said.exit_code == 0, said.output
    assert group.ended(run) == "succeeded"
    out, err = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 0, out + err
    assert err.count("can't be used") == 1 and "the record is back" in err
    entries = list(group.store.raw_entries(run=run))
    assert entries[: len(before)] == before
    assert set(group.claims(run)) == {node}
    if not at_gate:
        assert group.marks("file") == ALL
        assert {attempt.result["outcome"] for attempt in group.store.attempts(run)} == {"done"}


def test_the_server_crashes_and_recovers_under_two_nodes(group: Group) -> None:
    """Each comes back to what it drove: nobody was silent under the other's eyes."""
    both = {group.start(), group.start()}
    runs = {name: group.run(name) for name in ("one", "two")}
    for name in runs:
        group.until(lambda name=name: group.marks(name) == ["begun"])
    drivers = {name: group.driver(run) for name, run in runs.items()}
    group.server.stop(signal.SIGQUIT)
    group.server.start()
    for name in runs:
        group.go(name)
    assert {group.ended(run) for run in runs.values()} == {"succeeded"}
    for name, run in runs.items():
        assert group.marks(name) == ALL
        assert set(group.claims(run)) == {drivers[name]} <= both


FREEZES = """
import os, signal, sys
from hisauto.store.engine import open_store
store = open_store(sys.argv[1])
with store._database.write() as writing:
    print("writes", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    writing.log("note", None, "frozen", {})
"""


def test_who_freezes_in_mid_write_holds_nobody_up_for_long(group: Group) -> None:
    node = group.start()
    url = os.environ["HISAUTO_DATABASE_URL"]
    with subprocess.Popen([sys.executable, "-c", FREEZES, url], stdout=-1, stderr=-1, text=True) as frozen:
        try:
            assert frozen.stdout is not None
            frozen.stdout.readline()
            begun = time.monotonic()
            group.go("file")
            run = group.run("file")
            assert group.ended(run) == "succeeded"
            assert time.monotonic() - begun < PATIENCE / 2
            assert next(n for n in group.store.nodes() if n.id == node).silent < 3, "a beat waits for nobody"
            frozen.send_signal(signal.SIGCONT)
            _, err = frozen.communicate(timeout=PATIENCE)
        finally:
            frozen.kill()
    assert frozen.returncode != 0 and "RecordAway" in err
    assert not [entry for entry in group.store.entries() if entry.actor == "frozen"]


def test_a_server_that_is_not_there_is_said_clearly(group: Group, tmp_path: Path) -> None:
    group.site.env["HISAUTO_DATABASE_URL"] = f"postgresql://his:hunter2@/his?host={tmp_path}"
    for command in ("node", "nodes", "locks", "runs"):
        said = group.site.invoke(command)
        assert said.exit_code == 5, said.output
        assert "can't be used" in said.stderr and "hint: " in said.stderr
        assert "hunter2" not in said.output
