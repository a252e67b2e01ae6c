"""Guards: read-only looks that have to say yes before anything is changed. All are taken, and all are reported."""

from __future__ import annotations

from collections.abc import Callable

from hisauto.plan.look import Looker, Seen
from hisauto.plan.plan import Plan
from hisauto.runbook.documents import Probe, Runbook
from hisauto.runbook.scope import Results

Taken = tuple[str, Probe, Seen]
"""A guard's name, the guard, and its answer."""


def take(runbook: Runbook, looker: Looker, *, patient: bool) -> list[Taken]:
    """Every guard, in order: what one registers is there for the next. ``patient``: for as long as each says."""
    taken: list[Taken] = []
    for n, guard in enumerate(runbook.guards, 1):
        seen = looker.until(guard, within=(guard.within or 0.0) if patient else 0.0, holds=guard.holds)
        if guard.register_:
            values = {h.host or "node": dict(h.observation.values) for h in seen.hosts}
            looker = looker.within(looker.scope.plus(**{guard.register_: Results(hosts=values)}))
        taken.append((guard.name or f"guard {n}", guard, seen))
    return taken


def take_all(plan: Plan, at: Callable[[str], Looker], *, patient: bool) -> list[tuple[str, Taken]]:
    """The guards of the run's own runbook and of those that are steps, each with the path of its runbook's step."""
    found: list[tuple[str, Taken]] = []
    for space, part in plan.parts.items():
        before = f"{part.runbook.runbook}: " if space else ""
        taken = take(part.runbook, at(space), patient=patient)
        found += [(space, (before + name, guard, seen)) for name, guard, seen in taken]
    return found
