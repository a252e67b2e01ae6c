"""A real node on real hosts, killed at ten boundaries of one run: every effect once, the log whole.

All boundaries are tried on hosts in memory (``tests/crash``). HISAUTO_TORTURE=1 makes ten runs of it.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hisauto.model.run import RunState

from ..crash.way import boundaries
from ..labs import REPOSITORY
from .scene import PATIENCE, TORTURE, Scene

pytestmark = [pytest.mark.lab, pytest.mark.timeout(7200 if TORTURE else 300)]

RUNS = 10 if TORTURE else 1
DEATHS = 10
RUNBOOK = """\
runbook: counted
version: 1.0.0
title: A line for each host and round
kind: routine
owner: dba
params: {file: {help: what the lines are added to}}
hosts: {those: app:db_proxy}
steps:
  - name: One person agrees
    approve: {question: Begin?, by: {dba_lead: 1}}
  - name: Rounds
    for_each: ["1", "2", "3", "4"]
    steps:
      - name: Append
        hosts: those
        batch: 1
        shell: sleep 0.2; echo '{{ item }}' {{ host }} >>'{{ params.file }}'
        undo: {command: "false"}
verify:
  - {name: They are there, hosts: app1, shell: "wc -l <'{{ params.file }}'", expect: stdout == '12'}
"""
LINES = Counter(f"{item} {host}" for item in "1234" for host in ("app1", "app2", "lb1"))


@contextmanager
def node(scene: Scene, told: Path, at: int) -> Iterator[subprocess.Popen[bytes]]:
    """A node that dies at a boundary; 0: at none, and it is told to end afterwards."""
    argv = [sys.executable, "-m", "tests.crash.labnode", str(scene.site), str(told), str(at)]
    with (scene.state / "node.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=REPOSITORY, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def requested(scene: Scene, file: Path) -> str:
    """Asked for as ``hisauto run`` does, but that nobody starts a node for it."""
    planned = scene.app.plan("counted", {"file": str(file)})
    key = Path(scene.hospital.facts["keys"]["operator-1"])
    return scene.app.request(planned, scene.app.signer("operator-1", key), reason="a test").id


def life(scene: Scene, run: str, told: Path, at: int) -> None:
    """One node, until it is dead or the run has ended."""
    deadline = time.monotonic() + PATIENCE
    with node(scene, told, at) as process:
        while process.poll() is None and not (view := scene.app.store.view(run)).state.ended:
            assert time.monotonic() < deadline, scene.story(run)
            if view.question is not None and view.question["kind"] == "gate" and run not in scene.app.store.awake():
                scene.answer(run, "yes", "dba-1")
            time.sleep(0.02)
        assert process.poll() in ((None, -signal.SIGKILL) if at else (None,)), scene.story(run)


@pytest.mark.parametrize("number", range(RUNS))
def test_killed_at_ten_boundaries_of_one_run(stage: Scene, tmp_path: Path, number: int) -> None:
    chance, died = random.Random(f"boundaries {number}"), list[str]()
    (stage.site / "runbooks/counted.yml").write_text(RUNBOOK)
    stage.fresh(rebuilt=False)
    stage.end_node()
    file = stage.hospital.folder / f"counted-{number}"
    run = requested(stage, file)
    for n in range(DEATHS + 1):
        at = chance.randint(6, 28) if n < DEATHS else 0
        life(stage, run, tmp_path / str(n), at)
        came = boundaries(tmp_path / str(n))
        died += came[at - 1 : at] if at else []
    story = "\n".join([*died, stage.story(run)])
    view = stage.app.store.view(run)
    assert view.state is RunState.succeeded, story
    assert Counter(file.read_text().splitlines()) == LINES, story
    assert len(died) == DEATHS, story
    stage.nothing_left_behind(run)
    stage.end_node()
    print(f"measured: {number}: {len(died)} deaths, at {len(set(died))} different places")
