"""The failover by its runbook on machines: power cuts, hangs and partitions. At most one writer at every moment.

A primary that is cut off says nothing to those who ask over its network, and that proves nothing. So each database is
watched from within its own network, which no fault of these can cut: what is seen there is what it really accepted.
"""

from __future__ import annotations

import contextlib
import os
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import lab
from hisauto.model.run import RunState, RunView
from lab import watcher, writer
from lab.writer import lines

from .. import labs
from ..failover.scene import TORTURE, Load, Scene, on, started
from ..labs import Hospital

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

STOPPED = "Stop it and keep it down"
CLIENTS = ("lb1", "app1", "app2", "app3")
ALL = ("node", "db2", *CLIENTS)
BLIND = (RunState.failed, RunState.rolled_back, RunState.rollback_failed)
"""How a run may end that could not put the old primary out of service."""


@dataclass(frozen=True)
class Case:
    """What happens to db1, and what has to come of it."""

    faults: tuple[tuple[str, tuple[str, ...]], ...]
    """Each with the peers it is between; none: it is db1's alone."""
    out: str | None = None
    """How db1 is out of service before db2 is promoted, as ``out_of_service`` says it. None: db2 is not."""
    ends: tuple[RunState, ...] = (RunState.succeeded,)
    power: bool = True
    """Whether the power controller works."""
    back: str | None = None
    """A client that reaches db1 again once it is being fenced."""
    always: bool = False
    """Whether it is tried every day, and not only in a campaign."""


CASES: dict[str, Case] = {
    "power cut": Case((("power-cut", ()),), "off", always=True),
    "hang": Case((("hang", ()),), "off"),
    "PostgreSQL killed": Case((("service-kill", ()),), "fenced"),
    "PostgreSQL killed, and out of the node's reach": Case((("service-kill", ()), ("partition", ("node",))), "off"),
    "node and proxy lose it, app1 still writes": Case(
        (("partition", ("node", "lb1")),), ends=(RunState.refused,), always=True
    ),
    "it loses everybody": Case((("partition", ALL),), "off"),
    "it loses everybody, and app1 is back in the middle": Case((("partition", ALL),), "off", back="app1"),
    "it loses everybody, and its power can't be cut": Case((("partition", ALL),), ends=BLIND, power=False),
    "it hears nobody": Case((("deaf", ALL),), "off"),
    "nobody hears it": Case((("mute", ALL),), "off", always=True),
    "a firewall refuses in its name": Case((("firewall", ALL),), "off"),
}


@pytest.fixture
def stage(machines: Hospital) -> Iterator[Scene]:
    """db1 primary, db2 its synchronous standby, just built."""
    with on(machines, "machines") as found:
        found.fresh()
        yield found


def broken(stage: Scene, case: Case) -> float:
    """Do it all. When it had happened, by the wall clock."""
    for fault, peers in case.faults:
        for peer in peers or (None,):
            if peer is not None and peer == case.back:
                lab.break_(stage.site, fault, peer, "db1")  # on its side, where it can be healed apart from the others
            else:
                lab.break_(stage.site, fault, "db1", peer)
    return time.time()


@contextlib.contextmanager
def direct(stage: Scene, ledger: Path) -> Iterator[None]:
    """Somebody on app1 who writes to db1 itself, past the proxy: in app1's network, to db1's address."""
    facts = stage.hospital.facts
    dsn = facts["dsn"]["proxy"].replace(facts["proxy"]["address"], facts["hosts"]["db1"])
    process = writer.start(dsn, ledger, 20, at=(stage.hospital.folder, "app1"))
    try:
        labs.until(lambda: writer.summary(ledger).acknowledged > 5)
        yield
    finally:
        writer.stop(process)


def played(stage: Scene, case: Case, since: float) -> RunView:
    """The run that people ask for, at its end."""
    guarded = case.ends != (RunState.refused,)
    run = stage.ask("database-failover", since=since, ready=guarded)
    if guarded:
        stage.waits(run, "gate")
        stage.answer(run, "yes", "dba-1", "duty-1")
    if case.back:
        stage.until(run, lambda v: v.state.ended or stage.begun(run, STOPPED))
        lab.heal(stage.site, case.back)
    view = stage.ended(run)
    assert view.state in case.ends, stage.story(run)
    return view


def out_of_service(stage: Scene) -> str | None:
    """How db1 is, by its power controller or by its own word: ``off``, or ``fenced``: stopped and masked."""
    if stage.hospital.power("db1", "status") == (0, "off"):
        return "off"
    lab.heal(stage.site, "db1")
    return "fenced" if stage.hospital.on("db1", "pg status || true").split() == ["stopped", "fenced"] else None


def failed_over(stage: Scene, case: Case, run: str, load: Load) -> None:
    """db2 serves, and db1 can't, also when it is back."""
    assert out_of_service(stage) == case.out, stage.story(run)
    assert started(stage.attempts(run, "Promote")) == ["Promote the standby@db2"]
    assert stage.timeline("db2") == 2
    assert stage.backend() == "db2"
    assert stage.registers()
    lab.heal(stage.site, "db1")
    labs.until(lambda: load.reigned_after(time.time() - 0.5) == {"db2"})


def left_alone(stage: Scene, case: Case, run: str, load: Load) -> None:
    """db1 goes on as it was, seen before and after the network is whole again."""
    assert stage.attempts(run, "Promote") == []
    labs.until(lambda: load.reigned_after(time.time() - 0.5) == {"db1"})
    lab.heal(stage.site, "db1")
    labs.until(lambda: registers(stage))
    assert stage.timeline("db1") == 1


def registers(stage: Scene) -> bool:
    with contextlib.suppress(urllib.error.HTTPError):  # the proxy or the service has not noticed yet
        return stage.registers()
    return False


def moments(load: Load, host: str) -> list[float]:
    """When it was seen to accept a write, by its own clock, which all hosts share."""
    return [line["at"] for line in lines(load.record) if line.get("host") == host]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.always or TORTURE])
def test_one_writer_at_every_moment(stage: Scene, tmp_path: Path, name: str) -> None:
    case, ledger = CASES[name], tmp_path / "direct"
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(stage.load(tmp_path))
        stack.enter_context(direct(stage, ledger))
        if not case.power:
            stack.enter_context(stage.changed("db1", power_command=["false"]))
        began, busy = time.time(), os.getloadavg()[0]
        broke = broken(stage, case)
        view = played(stage, case, began)
        gap = load.gap
        (failed_over if case.out else left_alone)(stage, case, view.id, load)
    story = stage.story(view.id)
    old, new = moments(load, "db1"), moments(load, "db2")
    assert watcher.overlaps(load.record) == [], story
    assert max(old) < min(new, default=float("inf")), story
    if not any(fault in ("power-cut", "hang", "service-kill") for fault, _ in case.faults):
        assert max(old) > broke + 1, "the watcher lost it, so it has proved nothing"
    if case.ends == (RunState.refused,):
        assert acknowledged_after(ledger, broke + 1), "app1 was to go on writing"
    assert stage.lost(load) == []
    assert writer.losses(ledger, stage.hospital.facts["dsn"]["proxy"]) == []
    stage.nothing_left_behind(view.id)
    rto = f"{view.summary['rto']['measured']:.1f} s" if case.out else "-"
    print(f"measured: | {name} | {view.state}, db1 {case.out or 'goes on'} | {gap:.1f} s | {rto} | {busy:.0f} |")


def acknowledged_after(ledger: Path, moment: float) -> bool:
    """Whether a write was acknowledged after a moment of the wall clock."""
    first, *more = lines(ledger)
    return any(line.get("ok") and first["wall"] + line["at"] > moment for line in more)
