"""What steps, guards and gates registered, by the unit that they did it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hisauto.clock import stamp
from hisauto.model.run import Attempt
from hisauto.plan.places import begun, place
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.runbook.scope import Results

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

Unit = tuple[str | None, tuple[int, ...]]
"""A host and the places of items; neither: no unit."""


@dataclass
class Registered:
    """A name's values by unit, and where and when they are from."""

    source: str
    at: str
    results: dict[Unit, Mapping[str, Any]] = field(default_factory=dict)

    def seen_from(self, scope: Scope) -> Results:
        """What the unit that asks sees: of the items around it only its own."""
        near = {unit: told for unit, told in self.results.items() if _along(unit[1], scope.items)}
        hosts = {host or "node": told for (host, items), told in near.items() if host is not None or not items}
        by_item = {items[-1]: told for (_, items), told in near.items() if items}
        own = near.get((scope.host, scope.items))
        if own is None:
            mine = [told for (host, _), told in near.items() if None in (host, scope.host) or host == scope.host]
            items = [told for (_, items), told in near.items() if items and items == scope.items]
            own = next((found[0] for found in (mine, items) if len(found) == 1), None)
        return Results(hosts, tuple(by_item.get(n, {}) for n in range(max(by_item, default=-1) + 1)), own)


class Known:
    """The registered names of one drive. Thread-safe."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self._registered: dict[tuple[str, str], Registered] = {}

    def add(self, scope: Scope, name: str, values: Mapping[str, Any], *, at: str, source: str) -> None:
        """Make values known under a name, in the runbook and unit that the scope is of."""
        with self.drive.mutex:
            known = self._registered.setdefault((scope.space, name), Registered(source, at))
            known.at, known.source = at, source
            known.results[scope.host, scope.items] = values

    def get(self, scope: Scope, name: str) -> Registered | None:
        return self._registered.get((scope.space, name))

    def names(self, scope: Scope) -> dict[str, Results]:
        """Every registered name of the scope's runbook, as its unit sees it."""
        with self.drive.mutex:
            return {
                name: known.seen_from(scope)
                for (space, name), known in self._registered.items()
                if space == scope.space
            }

    def settled(self, step: Step, attempt: Attempt, scope: Scope) -> None:
        """Make a settled attempt's values known under the step's name."""
        if step.register_ is None:
            return
        at, values = stamp(attempt.ended_at or self.drive.clock.now()), dict(attempt.result.get("values") or {})
        if joint(step) and attempt.intent.get("look"):
            for host, told in values["hosts"].items():
                self.add(scope.unit(host), step.register_, told, at=at, source=step.name)
            return
        unit = scope if scope.within_unit else scope.unit(attempt.host)
        self.add(unit, step.register_, values, at=at, source=step.name)

    def restore(self) -> None:
        """Make known again what was registered before this drive, the newest last."""
        drive, steps = self.drive, self.drive.plan.runbook.steps
        with drive.mutex:
            self._registered.clear()
        drive.guarding.restore()
        for attempt in drive.journal.attempts():
            found = place(steps, attempt.path)
            if found is not None and attempt.result.get("outcome") in ("done", "already"):
                self.settled(found.step, attempt, drive.scope_at(attempt.path))
        for path, step in begun(steps, drive.journal.recall):
            if step.approve is not None:
                drive.gates.restore(step, path, drive.scope_at(path))


def joint(step: Step) -> bool:
    """One question to all its hosts together."""
    counted = step.exactly is not None or step.at_least is not None
    return counted and step.hosts is not None and step.action is not None


def _along(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether one of them is inside of the other."""
    return all(a == b for a, b in zip(one, other, strict=False))
