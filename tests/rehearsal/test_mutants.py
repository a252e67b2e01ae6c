"""Bundled runbooks with a fault put into them: each is caught, by the first run or by a single fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from hisauto.runbook.documents import Probe, Runbook, Step
from hisauto.testing.rehearsal.faults import How, Schedule

from .common import Change, faults, player

FAILOVER, RESTART, REJOIN = "database-failover", "service-restart", "database-rejoin"
HOLDS = Probe(expect="true")
DEAD, SILENT = "PostgreSQL on the primary is dead", "the primary runs, and nobody can reach it"


@dataclass(frozen=True)
class Mutant:
    what: str
    runbook: str
    change: Change
    test: str
    says: str
    step: str = ""
    """With faults at this step; none: undisturbed."""
    how: How = How.fails


def edit(change: Callable[[Step], Step | None]) -> Change:
    """Every step changed, or taken out."""

    def walk(steps: Sequence[Step] | None) -> tuple[Step, ...] | None:
        if steps is None:
            return None
        inner = (s.model_copy(update={key: walk(getattr(s, key)) for key in ("steps", "ways", "together")})
                 for s in steps)  # fmt: skip
        return tuple(changed for step in inner if (changed := change(step)) is not None)

    return lambda runbook: runbook.model_copy(update={"steps": walk(runbook.steps)})


def setting(name: str, **values: object) -> Change:
    return edit(lambda step: step.model_copy(update=values) if step.name == name and step.steps is None else step)


def without(name: str) -> Change:
    return edit(lambda step: None if step.name == name else step)


def without_guard(name: str) -> Change:
    return lambda book: book.model_copy(update={"guards": tuple(g for g in book.guards if g.name != name)})


def promoted_first(book: Runbook) -> Runbook:
    steps = list(book.steps)
    promote = next(s for s in steps if s.name == "Promote the standby")
    steps.remove(promote)
    steps.insert([s.name for s in steps].index("Fence the old primary"), promote)
    return book.model_copy(update={"steps": tuple(steps)})


def batched(name: str, *sizes: str) -> Change:
    return edit(lambda step: step.model_copy(update={"batch": sizes}) if step.name == name and step.hosts else step)


REFUSED = "expected: refused"
MUTANTS = [
    Mutant("the fence's undo removed", FAILOVER, setting("Stop it and keep it down", undo=None), DEAD,
           "all was undone, and db1.fenced is True", "Promote the standby", How.unreachable),
    Mutant("the fence removed", FAILOVER, without("Fence the old primary"), SILENT, "Two databases take writes"),
    Mutant("promoted before it is fenced", FAILOVER, promoted_first, SILENT, "Two databases take writes"),
    Mutant("done_when: true at the fence", FAILOVER, setting("Stop it and keep it down", done_when=HOLDS), SILENT,
           "Two databases take writes"),
    Mutant("done_when: true at the power switch", FAILOVER, setting("Cut its power", done_when=HOLDS), SILENT,
           "Two databases take writes"),
    Mutant("done_when: true at the promotion", FAILOVER, setting("Promote the standby", done_when=HOLDS), DEAD,
           "expected: succeeded"),
    Mutant("done_when: true at the proxies", FAILOVER, setting("Point the proxies at it", done_when=HOLDS), DEAD,
           "expected: succeeded"),
    Mutant("the guard on the primary removed", FAILOVER, without_guard("Nobody gets an answer from the primary"),
           "the primary still serves", REFUSED),
    Mutant("the guard on the loss removed", FAILOVER, without_guard("What the standby last knew of the replication"),
           "nobody can say how much is lost", REFUSED),
    Mutant("the guard on the replay removed", FAILOVER, without_guard("The standby has all that it received"),
           "the standby has not replayed all that it received", REFUSED),
    Mutant("the guard on the disk removed", FAILOVER, without_guard("The standby's disk has room"),
           "the standby's disk is full", REFUSED),
    Mutant("the proxies' batch widened", FAILOVER, batched("Point the proxies at it", "100%"), DEAD,
           "The second proxy is pointed at it", "Point the proxies at it [lb1]"),
    Mutant("the drain's undo removed", RESTART, setting("Out of service", undo=None), "a service that runs",
           "all was undone, and lb1.his/app1 is DRAIN", "Restart [app1]", How.cancelled),
    Mutant("done_when: true at the drain", RESTART, setting("Out of service", done_when=HOLDS), "a service that runs",
           "while the proxy sends it requests"),
    Mutant("done_when: true on the way back into service", RESTART, setting("Back in service", done_when=HOLDS),
           "a service that runs", "No host serves"),
    Mutant("the drain removed", RESTART, without("Out of service"), "a service that runs",
           "while the proxy sends it requests"),
    Mutant("the guard on the proxy removed", RESTART, without_guard("The proxy answers"), "the proxy does not answer",
           REFUSED),
    Mutant("the restart's batch widened", RESTART, batched("Restart", "2"), "a service that runs", "No host serves",
           "Healthy [app1]"),
    Mutant("done_when: true at the power", REJOIN, setting("Power it on", done_when=HOLDS),
           "the old primary has no power", "expected: succeeded"),
    Mutant("done_when: true at the rebuild", REJOIN, setting("It follows the source", done_when=HOLDS),
           "the old primary has no power", "expected: succeeded"),
    Mutant("the power removed", REJOIN, without("Power it on"), "the old primary has no power", "expected: succeeded"),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.runbook}: {mutant.what}")
def test_it_is_caught(tmp_path: Path, mutant: Mutant) -> None:
    with player(mutant.runbook, mutant.test, tmp_path, mutant.change) as play:
        calm = play.play(Schedule())
        found = list(calm.violations)
        if calm.end != play.test.end:
            found.append(f"expected: {play.test.end}")
        if mutant.step and not found:  # what stands side by side may show it undisturbed
            schedules = faults(calm, mutant.step, mutant.how)
            assert schedules
            found = [why for schedule in schedules for why in play.play(schedule).violations]
    assert any(mutant.says in why for why in found), found
