"""The failover by its runbook against every fault: one writer at every moment, nothing lost, the service back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lab
from lab import watcher
from lab.power import ask

from .. import labs
from .scene import Load, Scene, started

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
def test_failover(
    play: Scene, tmp_path: Path, record_property: Callable[[str, object], None], fault: str, way: str | None
) -> None:
    with play.load(tmp_path) as load:
        lab.break_(play.site, fault, "db1")
        run = play.approved("database-failover", since=time.time())
        view = play.succeeded(run)
        failed_over(play, run, load)
    proven(play, run, load)
    fence = [a for a in play.attempts(run) if a.path.startswith("3.")]
    assert [f"{way}@db1"] * (way is not None) == [s for s in started(fence)], play.story(run)
    assert fence[-1].state == ("already" if way is None else "done")
    rto, gap = view.summary["rto"], load.gap
    assert 0 < rto["measured"] < rto["promised"] == 300
    assert 0 < gap < rto["measured"] + 5
    for name, value in (("rto", rto["measured"]), ("gap", gap)):
        record_property(f"{name}_{fault}", round(value, 2))
