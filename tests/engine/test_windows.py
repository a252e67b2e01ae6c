"""A change keeps to its window: when it is asked for, under its guards, and batch by batch."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from hisauto.model.run import RunState
from hisauto.site.settings import Settings
from hisauto.site.windows import DAYS
from hisauto.testing.hosts import Fault, Host

from .play import Play

PATCH = """
    window: night
    steps:
      - name: Patch
        hosts: app
        batch: 1
        steps:
          - {name: Drain, set: {state: drained}}
          - {name: Drain its database, hosts: b, set: {for: "{{ host }}"}}
          - {name: Undrain, set: {state: up}}
        on_failure: stop
      - {name: Tell, hosts: a, set: {told: "yes"}, undo: {set: {told: "no"}, idempotent: true}}
    always:
      - {name: Last, hosts: a, set: {last: "{{ run.end }}"}}
"""
LATE = Fault(takes=700.0)
"""Longer than the window is still open."""


@pytest.fixture
def change(play: Play, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr("tests.engine.play.HEAD", "version: 1.0.0\ntitle: A case\nkind: change\nowner: dba\n")
    return play


def calendar(play: Play, *, opens: int = -60, closes: int = 10, frozen: bool = False) -> datetime:
    """The window ``night`` of this weekday, in minutes from now; a freeze over today. When it opens next week."""
    now = play.clock.now().replace(second=0, microsecond=0)
    begin, end = now + timedelta(minutes=opens), now + timedelta(minutes=closes)
    night = {"days": DAYS[begin.weekday()], "from": f"{begin:%H:%M}", "to": f"{end:%H:%M}", "zone": "UTC"}
    freeze = {"reason": "Audit", "from": f"{now:%Y-%m-%d}", "to": f"{now:%Y-%m-%d}", "zone": "UTC"}
    site = Settings.model_validate({"windows": {"night": night}, "freezes": [freeze] if frozen else []})
    play.world.windows, play.world.freezes = dict(site.windows), list(site.freezes)
    return begin if opens > 0 else begin + timedelta(days=7)


def closing(play: Play) -> tuple[str, datetime]:
    """A run whose window closes while the second host's unit is at work."""
    opens = calendar(play)
    run = play.request(PATCH)
    play.world.hosts["app2"].fault("1[app2].1", LATE)
    assert play.drive(run) is None
    return run, opens


def test_a_window_that_is_closed_refuses_under_guards(change: Play) -> None:
    opens = calendar(change, opens=60, closes=120)
    run = change.request(PATCH)
    assert change.drive(run) is RunState.refused
    assert change.world.moves == []
    assert f"window 'night' is closed; it opens {opens:%a %Y-%m-%d %H:%M} UTC" in change.store.view(run).summary["why"]


def test_a_freeze_refuses_under_guards(change: Play) -> None:
    opens = calendar(change, frozen=True)
    run = change.request(PATCH)
    assert change.drive(run) is RunState.refused
    assert f"the freeze 'Audit' is on; it opens {opens:%a %Y-%m-%d %H:%M} UTC" in change.store.view(run).summary["why"]


def test_a_window_that_closes_at_a_gate_refuses_before_the_first_change(change: Play) -> None:
    calendar(change)
    gate = "    steps:\n      - {name: Agree, approve: {question: Go on?, by: {dba: 1}, within: 1h}}\n"
    run = change.request(PATCH.replace("    steps:\n", gate, 1))
    assert change.drive(run) is None
    change.clock.sleep(900)
    change.turn(run, "dba-1 yes")
    assert change.drive(run) is RunState.refused
    assert change.world.moves == []


def test_a_unit_that_has_begun_is_finished_and_no_other_begins(change: Play) -> None:
    run, opens = closing(change)
    view = change.store.view(run)
    assert view.state is RunState.waiting
    assert view.question is not None
    assert (view.question["kind"], view.question["step"]) == ("window", "1")
    assert f"it opens {opens:%a %Y-%m-%d %H:%M} UTC" in view.question["why"]
    assert change.world.hosts["app2"].state["state"] == "up"
    assert change.world.hosts["b"].state["for"] == "app2"
    assert "state" not in change.world.hosts["app3"].state
    assert [lock for lock in change.store.locks() if lock.run == run]


def test_it_goes_on_by_itself_when_the_window_opens(change: Play) -> None:
    run, opens = closing(change)
    assert change.store.view(run).wake_at == opens
    assert change.through(run, ["time"]) is RunState.succeeded
    assert {change.world.hosts[f"app{n}"].state["state"] for n in range(1, 5)} == {"up"}
    said = [entry.data["value"] for entry in change.log(run, "window")]
    assert [w["granted"] for w in said] == [True, True, True, True], "one for each batch that began after the first"


def test_a_person_lets_it_go_on_and_that_is_on_record(change: Play) -> None:
    run, _ = closing(change)
    assert change.through(run, ["dba-1 go_on"]) is RunState.succeeded
    assert [entry.data["value"]["granted"] for entry in change.log(run, "window")] == [True, False, False, False]


@pytest.mark.parametrize(("answer", "end"), [("stop", "failed"), ("rollback", "rolled_back")])
def test_a_person_ends_it(change: Play, answer: str, end: str) -> None:
    run, _ = closing(change)
    assert change.through(run, [f"dba-1 {answer}"]) == end
    assert "dba-1 decided" in change.store.view(run).summary["why"]
    assert change.world.hosts["a"].state["last"] == end, "what is done at every end is not bound"


def test_who_may_not_decide_changes_nothing(change: Play) -> None:
    run, _ = closing(change)
    change.turn(run, "guest-1 go_on")
    assert change.drive(run) is None
    assert "state" not in change.world.hosts["app3"].state


def test_the_way_back_is_not_bound(change: Play) -> None:
    calendar(change)
    run = change.request("""
    window: night
    on_failure: rollback
    steps:
      - {name: One, hosts: app, batch: 4, set: {x: 1}, undo: {set: {x: 0}, idempotent: true}}
      - {name: Two, hosts: a, set: {x: 1}}
    """)
    change.world.hosts["app4"].fault("1[app4]", Fault(rc=1, takes=700))
    assert change.drive(run) is RunState.rolled_back
    assert {change.world.hosts[f"app{n}"].state.get("x") for n in range(1, 4)} == {"0"}


def test_a_node_that_dies_in_a_batch_finds_it_begun(change: Play) -> None:
    """What had begun when it was open is taken up again though it is closed by now."""
    calendar(change)
    run = change.request(PATCH)
    first = change.store.claim(run, "node-1")

    def taken_over(_: Host) -> None:
        change.store.claim(run, "node-2")

    cut = Fault(lost="running", away=5, takes=10, then=taken_over)
    change.world.hosts["app2"].fault("1[app2].1", cut)
    with pytest.raises(Exception, match="epoch"):
        change.drive(run, first)
    change.clock.sleep(900)
    assert change.drive(run) is None
    assert change.world.hosts["app2"].state["state"] == "up"
    assert "state" not in change.world.hosts["app3"].state


def test_an_emergency_is_not_bound_and_what_it_ignored_is_on_record(play: Play) -> None:
    calendar(play, opens=60, closes=120, frozen=True)
    run = play.request("    steps:\n      - {name: One, hosts: app, batch: 1, set: {x: 1}}\n")
    assert play.drive(run) is RunState.succeeded
    assert not play.log(run, "window")
    whys = {entry.data["value"]["window"] for entry in play.log(run, "guards")}
    assert whys == {"an emergency is bound by no window; the freeze 'Audit' is on"}
