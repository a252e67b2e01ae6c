"""Behind the point of no return: a promotion that is late, and a cancel, put nothing back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import lab
from hisauto.model.run import Attempt
from lab import watcher

from .. import labs
from .scene import Load, Scene, started
from .variants import LATE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

HANDED_ON = "setsid sh -c 'until [ -e go ]; do sleep .1; done; pg promote' >/dev/null 2>&1 </dev/null &"
"""Returns at once, as something that hands the work to another service does; the effect comes when it may."""
SLOW = "until [ -e go ]; do sleep .1; done; pg promote"


def go(play: Scene) -> None:
    """Let the promotion happen."""
    play.hospital.on("db2", "touch go")
    labs.until(lambda: play.hospital.on("db2", "pg role") == "primary")


def undone(play: Scene, run: str) -> list[Attempt]:
    return [a for a in play.attempts(run) if "!undo" in a.path or a.state in ("undone", "undo_failed")]


def old_primary_stays_down(play: Scene, run: str, load: Load, since: float) -> None:
    assert play.hospital.on("db1", "pg status || true").split() == ["stopped", "fenced"]
    assert "db1" not in load.reigned_after(since)
    assert undone(play, run) == [], play.story(run)


def in_doubt(play: Scene) -> str:
    """A run whose promotion is not there when its ``within`` is over."""
    lab.break_(play.site, "service-kill", "db1")
    run = play.approved(LATE)
    question = play.waits(run, "in_doubt")
    assert question["name"] == "Promote the standby", play.story(run)
    return run


def test_a_late_promotion_is_in_doubt_until_a_person_has_looked(play: Scene, tmp_path: Path) -> None:
    with play.changed("db2", pg_promote=HANDED_ON), play.load(tmp_path) as load:
        run, since = in_doubt(play), time.time()
        assert play.hospital.on("db2", "pg role") == "standby"
        assert {lock.run for lock in play.app.store.locks()} == {run}
        go(play)
        old_primary_stays_down(play, run, load, since)
        play.answer(run, "done", "dba-1")
        play.succeeded(run)
        old_primary_stays_down(play, run, load, since)
        assert started(play.attempts(run, "Promote")) == ["Promote the standby@db2"]
        assert play.timeline("db2") == 2
        assert play.backend() == "db2"
        assert play.registers()
    assert watcher.overlaps(load.record) == []
    assert play.lost(load) == []
    play.nothing_left_behind(run)


@pytest.mark.parametrize("when", ["in doubt", "at work"])
def test_a_cancel_puts_nothing_back(play: Scene, tmp_path: Path, when: str) -> None:
    promote = HANDED_ON if when == "in doubt" else SLOW
    with play.changed("db2", pg_promote=promote), play.load(tmp_path) as load:
        if when == "in doubt":
            run = in_doubt(play)
        else:
            lab.break_(play.site, "service-kill", "db1")
            run = play.approved(LATE)
            play.until(run, lambda v: v.state.ended or play.begun(run, "Promote"))
        since = time.time()
        play.cancel(run)
        if when == "at work":  # it may not be interrupted: the run waits for it
            labs.until(lambda: bool(play.attempts(run, "Promote")))
            assert not play.app.store.view(run).state.ended
            go(play)
        view = play.until(run, lambda v: v.state.ended)
        assert view.state == "rollback_failed", play.story(run)
        if when == "in doubt":
            go(play)
        old_primary_stays_down(play, run, load, since)
        assert play.attempts(run, "Point the proxies") == []
    assert watcher.overlaps(load.record) == []
    play.nothing_left_behind(run)


def test_a_cancel_before_it_takes_the_fence_away(play: Scene, tmp_path: Path) -> None:
    """Then nothing is promoted, and the old primary may be started by whoever knows that it may."""
    with play.changed("db1", pg_fence="pg fence; sleep 4"), play.load(tmp_path) as load:
        lab.break_(play.site, "service-kill", "db1")
        run = play.approved("database-failover")
        play.until(run, lambda v: v.state.ended or play.begun(run, "Stop it"))
        play.cancel(run)
        view = play.ended(run)
        assert view.state == "cancelled", play.story(run)
        assert play.attempts(run, "Promote") == []
        assert play.hospital.on("db2", "pg role") == "standby"
        assert play.hospital.on("db1", "pg status || true").split() == ["stopped"], play.story(run)
        play.hospital.on("db1", "pg start")
        labs.until(lambda: load.reigned_after(time.time() - 0.5) == {"db1"})
    assert watcher.overlaps(load.record) == []
    assert play.lost(load) == []
    play.nothing_left_behind(run)
