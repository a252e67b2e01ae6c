"""kill -9 of the node, and cut connections, at random moments: every effect once, every end true.

A seeded sample; HISAUTO_TORTURE=1 takes all of it. Moments are counted in entries of the log and then in seconds, so
they fall into every part of a run, on a slow machine too.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import lab
from hisauto.model.run import AttemptState, RunState, RunView
from lab import proc, watcher
from lab.layout import HOSTS
from lab.power import ask

from .scene import TORTURE, Scene, started
from .variants import SEEN, TINY

pytestmark = [pytest.mark.lab, pytest.mark.timeout(7200 if TORTURE else 300)]

TIMES = 50 if TORTURE else 4
ENTRIES, GATE = 34, 8
"""About as many as a failover leaves in the log in all, and before its gate."""


def kill_node(scene: Scene, hosts: Sequence[str]) -> str:
    """Empty if there was none."""
    pid = scene.node()
    if pid is None:
        return ""
    os.kill(pid, signal.SIGKILL)
    return f"node {pid}"


def cut_connections(scene: Scene, hosts: Sequence[str]) -> str:
    """End what sshd has forked for connections, at the first host that has any; sshd goes on. Empty if none has."""
    for host in hosts:
        processes = ask(str(scene.hospital.folder), host, "status")["processes"]
        table = proc.table()
        servers = {int(pid) for pid, name in processes.items() if name == "sshd"}
        victims = [pid for pid in servers if table.get(pid, (0, ""))[0] in servers]
        if victims:
            proc.send(victims, signal.SIGKILL)
            return f"connections of {host}"
    return ""


Harm = Callable[[Scene, Sequence[str]], str]
HARMS: dict[str, Harm] = {"kill": kill_node, "cut": cut_connections}


def entries(scene: Scene, run: str) -> int:
    return sum(1 for _ in scene.app.store.entries(0, run))


def harmed(scene: Scene, run: str, harm: Harm, chance: random.Random, after: int, delay: float) -> str:
    """Drive on until so many entries are in the log, wait, do harm. What was done; empty: it came too late."""
    scene.until(run, lambda v: v.state.ended or entries(scene, run) >= after)
    time.sleep(delay)
    view = scene.app.store.view(run)
    did = harm(scene, chance.sample(list(HOSTS), len(HOSTS)))
    return f"{did}, {view.state}, {entries(scene, run)} entries" if did and not view.state.ended else ""


def settled(scene: Scene, run: str, there: Callable[[], bool]) -> RunView:
    """The run's end. Where nobody can tell, a person looks whether it is ``there``."""
    while not (view := scene.ended(run)).state.ended:
        assert view.question is not None
        scene.answer(run, "done" if view.question["kind"] == "in_doubt" and there() else "stop", "dba-1")
    return view


def through_the_gate(scene: Scene, run: str) -> None:
    """Approve it, unless it has ended before: what was cut off while guards were taken could not be told."""
    view = scene.until(run, lambda v: v.state.ended or (v.question or {}).get("kind") == "gate")
    if not view.state.ended:
        scene.answer(run, "yes", "dba-1", "duty-1")


@pytest.mark.parametrize("harm", HARMS)
def test_failover(play: Scene, tmp_path: Path, harm: str) -> None:
    chance, ends, harms = random.Random(f"failover {harm}"), Counter[str](), 0
    for i in range(TIMES):
        if i:
            play.fresh()
        (folder := tmp_path / str(i)).mkdir()
        after, delay = int((i + chance.random()) / TIMES * ENTRIES), chance.uniform(0, 1.5)
        with play.load(folder) as load:
            lab.break_(play.site, "service-kill", "db1")
            run = play.ask("database-failover")
            if after > GATE:
                through_the_gate(play, run)
            did = harmed(play, run, HARMS[harm], chance, after, delay)
            harms += bool(did)
            if after <= GATE:
                through_the_gate(play, run)
            view = settled(play, run, lambda: play.hospital.on("db2", "pg role") == "primary")
            story = f"{i}: {did}\n{play.story(run)}"
            once_and_true(play, run, view, story)
        assert watcher.overlaps(load.record) == [], story
        play.nothing_left_behind(run)
        ends[view.state] += 1
        print(f"measured: failover, {harm} {i}: {did}: {view.state}, gap {load.gap:.1f} s")
        if view.state is RunState.succeeded:
            assert play.lost(load) == [], story
    assert harms >= TIMES // 2
    if harm == "kill":  # nothing that the node does needs the node to live
        assert ends == Counter(succeeded=TIMES)


def once_and_true(play: Scene, run: str, view: RunView, story: str) -> None:
    """No effect came twice, and what the record says of each is so."""
    did = started(play.attempts(run))
    for once in ("Stop it and keep it down@db1", "Cut its power@db1", "Promote the standby@db2"):
        assert did.count(once) <= 1, story
    role = play.hospital.on("db2", "pg role")
    promoted = {a.state for a in play.attempts(run, "Promote")}
    assert role == ("primary" if AttemptState.done in promoted else "standby"), story
    if role == "primary":
        assert play.timeline("db2") == 2, story
    if view.state is RunState.succeeded:
        assert play.backend() == "db2", story
        assert play.registers(), story
        assert did.count("Stop it and keep it down@db1") + did.count("Cut its power@db1") == 1, story
    if view.state is RunState.refused:
        assert did == [], story


@pytest.mark.parametrize("runbook", [TINY, SEEN])
@pytest.mark.parametrize("harm", HARMS)
def test_a_role_that_takes_two_seconds(stage: Scene, runbook: str, harm: str) -> None:
    chance, ends = random.Random(f"{runbook} {harm}"), Counter[str]()
    stage.fresh(rebuilt=False)
    for i in range(TIMES // 2):
        file = f"{stage.hospital.folder}/hosts/app1/home/{runbook}-{harm}-{i}"
        ends[harmed_role(stage, runbook, harm, file, (i + chance.random()) / (TIMES // 2) * 6)] += 1
    print(f"measured: {runbook}, {harm}: {dict(ends)}")


def harmed_role(stage: Scene, runbook: str, harm: str, file: str, delay: float) -> str:
    """One run, harmed so many seconds after its role began. Its end."""

    def there() -> bool:
        return count(stage, file) == 1

    run = stage.ask(runbook, {"file": file})
    stage.until(run, lambda v: v.state.ended or stage.begun(run, "Append"))
    time.sleep(delay)
    was = stage.app.store.view(run).state
    did = HARMS[harm](stage, ["app1"])
    view = settled(stage, run, there)
    story = f"{did} after {delay:.2f} s, when it was {was}\n{stage.story(run)}"
    assert len(stage.attempts(run, "Append")) == 1, story
    assert count(stage, file) <= 1, story
    assert (view.state is RunState.succeeded) == there(), story
    if harm == "kill":
        assert view.state is RunState.succeeded, story
    stage.nothing_left_behind(run)
    return view.state


def count(scene: Scene, file: str) -> int:
    return int(scene.hospital.on("app1", f"cat '{file}' 2>/dev/null | wc -l"))
