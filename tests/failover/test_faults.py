"""The failover by its runbook against every fault: one writer at every moment, nothing lost, the service back."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

import lab
from hisauto.errors import Refused
from lab import watcher
from lab.power import ask

from .. import labs
from .scene import TORTURE, Load, Scene, started

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

STOPPED, CUT = "Stop it and keep it down", "Cut its power"


def failed_over(play: Scene, run: str, load: Load) -> None:
    """What has to be so after any failover that succeeded."""
    assert started(play.attempts(run, "Promote")) == ["Promote the standby@db2"]
    assert play.timeline("db2") == 2
    assert play.backend() == "db2"
    assert play.registers()
    labs.until(lambda: load.reigned_after(time.time() - 0.5) == {"db2"})


def proven(play: Scene, run: str, load: Load) -> None:
    """What the ledger, the watcher and the log say when all is over."""
    assert watcher.overlaps(load.record) == []
    assert play.lost(load) == []
    play.nothing_left_behind(run)


@pytest.mark.parametrize(
    ("fault", "way"),
    [("power-cut", None), ("hang", CUT), ("service-kill", STOPPED), ("service-stop", STOPPED)],
)
def test_failover(play: Scene, tmp_path: Path, fault: str, way: str | None) -> None:
    with play.load(tmp_path) as load:
        lab.break_(play.site, fault, "db1")
        run = play.approved("database-failover", since=time.time())
        view = play.succeeded(run)
        failed_over(play, run, load)
    proven(play, run, load)
    fence = [a for a in play.attempts(run) if a.path.startswith("3.")]
    assert [f"{way}@db1"] * (way is not None) == started(fence), play.story(run)
    assert fence[-1].state == ("already" if way is None else "done")
    rto = view.summary["rto"]
    assert 0 < rto["measured"] < rto["promised"] == 300
    assert 0 < load.gap < rto["measured"] + 5
    print(f"measured: {fault}: gap {load.gap:.2f} s, back after {rto['measured']:.2f} s, rpo {view.summary['rpo']}")


@pytest.mark.parametrize("seed", range(20 if TORTURE else 2))
def test_a_hang_that_resumes_in_the_middle(play: Scene, tmp_path: Path, seed: int) -> None:
    """Whatever the thawed primary still takes and acknowledges is replicated, and it is out before the other is in."""
    chance = random.Random(seed)
    with play.load(tmp_path) as load:
        lab.break_(play.site, "hang", "db1")
        run = play.approved("database-failover", since=time.time())
        play.until(run, lambda v: v.state.ended or play.begun(run, STOPPED))
        time.sleep(chance.uniform(0, 5))
        ask(str(play.hospital.folder), "db1", "thaw")
        play.succeeded(run)
        failed_over(play, run, load)
    proven(play, run, load)
    fence = [a.name for a in play.attempts(run) if a.path.startswith("3.") and a.state == "done"]
    assert fence in ([STOPPED], [CUT]), play.story(run)


def test_what_can_be_neither_stopped_nor_powered_off_is_not_replaced(play: Scene, tmp_path: Path) -> None:
    with play.load(tmp_path) as load, play.changed("db1", power_command=["false"]):
        lab.break_(play.site, "hang", "db1")
        run = play.approved("database-failover")
        view = play.ended(run)
        assert view.state in ("failed", "rolled_back", "rollback_failed"), play.story(run)
        assert play.attempts(run, "Promote") == []
        lab.heal(play.site, "db1")
        labs.until(lambda: load.reigned_after(time.time() - 0.5) == {"db1"})
        assert play.timeline("db1") == 1
    proven(play, run, load)


def test_asynchronous_replication_needs_somebody_who_accepts_the_loss(stage: Scene, tmp_path: Path) -> None:
    stage.fresh("async")
    with stage.load(tmp_path) as load:
        lab.break_(stage.site, "power-cut", "db1")
        run = stage.ask("database-failover", ready=False)
        view = stage.ended(run)
        assert view.state == "refused" and "What the standby last knew" in view.summary["why"], stage.story(run)
        assert stage.attempts(run) == []
        run = stage.approved("database-failover", params={"accept_loss": "unknown"})
        card = stage.until(run, lambda v: v.state.ended or "how much is lost" in (v.question or {}).get("question", ""))
        assert card.question is not None, stage.story(run)
        assert card.question["by"] == {"loss_approver": 1}
        (fact,) = card.question["facts"]
        assert fact["known"] and fact["value"]["db2"]["synchronous"] is False, fact
        assert stage.attempts(run, "Promote") == []
        stage.answer(run, "yes", "director-1")
        stage.succeeded(run)
        failed_over(stage, run, load)
    assert watcher.overlaps(load.record) == []
    stage.nothing_left_behind(run)


def test_rejoin(play: Scene, tmp_path: Path) -> None:
    with play.load(tmp_path) as load:
        lab.break_(play.site, "power-cut", "db1")
        play.succeeded(play.approved("database-failover"))
        run = play.approved("database-rejoin", "dba-1")
        play.succeeded(run)
        assert play.hospital.on("db1", "pg role") == "standby"
        assert "db1|streaming|sync|" in play.hospital.on("db2", "pg lag")
        assert play.registers()
    proven(play, run, load)


def test_rejoin_refuses_a_source_that_is_not_a_primary(play: Scene) -> None:
    lab.break_(play.site, "service-stop", "db1")
    with pytest.raises(Refused, match=r"'source'.* has to be exactly 1"):
        play.app.plan("database-rejoin", {})
    play.hospital.on("db1", "pg start")
    lab.break_(play.site, "service-stop", "db2")
    run = play.ask("database-rejoin")
    play.waits(run, "gate")
    lab.break_(play.site, "service-stop", "db1")
    play.answer(run, "yes", "dba-1")
    assert play.ended(run).state == "refused", play.story(run)
    assert started(play.attempts(run)) == []
    play.nothing_left_behind(run)
