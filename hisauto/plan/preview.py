"""A plan host by host, before anyone approves: will change, already so, cannot be known yet. Read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from hisauto.errors import HisautoError
from hisauto.plan.items import items_of, label
from hisauto.plan.look import FANOUT, Looker, own_look
from hisauto.plan.places import static
from hisauto.plan.plan import Plan
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import Truth, names


class Outlook(StrEnum):
    """What a step would do now."""

    change = "change"
    already = "already"
    unknown = "unknown"
    look = "look"
    gate = "gate"
    notify = "notify"
    manual = "manual"


@dataclass(frozen=True)
class Line:
    """One step on one host. ``depth`` is how deep in blocks it stands."""

    path: str
    name: str
    host: str | None
    """Or the item that it is for."""
    outlook: Outlook
    why: str
    depth: int
    irreversible: str | None
    undo: bool
    diff: str = ""
    """What a file would become, as far as that may be shown."""


def preview(plan: Plan, at: Callable[[str], Looker]) -> list[Line]:
    """Look at every step's ``done_when`` where it can be looked at now, side by side. ``at``: eyes in a runbook."""
    wanted = list(_places(plan.runbook.steps, "", 0, at(""), at))
    with ThreadPoolExecutor(FANOUT) as pool:
        lines = list(pool.map(lambda place: place.line(), wanted))
    done = tuple(f"{line.path}." for line in lines if line.outlook is Outlook.already)
    return [line for line in lines if not line.path.startswith(done)]  # nothing happens inside a block that is done


def units(
    steps: tuple[Step, ...], looker: Looker, at: Callable[[str], Looker]
) -> Iterator[tuple[Step, str, int, Looker, str]]:
    """Every step where it would work: the step, its path, its depth in blocks, who looks there, and why that can't be
    told."""
    for place in _places(steps, "", 0, looker, at):
        yield place.step, place.path, place.depth, place.looker, place.why


@dataclass(frozen=True)
class _Place:
    """A step where it would work."""

    step: Step
    path: str
    host: str | None
    depth: int
    looker: Looker
    why: str = ""
    """Why it can't be told where that is."""

    def line(self) -> Line:
        step = self.step
        outlook, why, diff = (Outlook.unknown, self.why, "") if self.why else _outlook(step, self.looker)
        return Line(
            self.path, step.name, self.host, outlook, why, self.depth, step.irreversible, step.undo is not None,
            "" if step.no_log else diff,
        )  # fmt: skip


def _places(
    steps: tuple[Step, ...], prefix: str, depth: int, looker: Looker, at: Callable[[str], Looker]
) -> Iterator[_Place]:
    for i, step in enumerate(steps, 1):
        path = f"{prefix}{i}"
        try:
            units = list(_units(step, path, looker))
        except HisautoError as e:
            yield _Place(step, path, None, depth, looker, str(e))
            continue
        for unit, where, there in units:
            yield _Place(step, unit, where, depth, there)
            if step.block is not None:
                inner = at(static(unit)) if step.part is not None else there
                yield from _places(step.block, f"{unit}.", depth + 1, inner, at)


def _units(step: Step, path: str, looker: Looker) -> Iterator[tuple[str, str | None, Looker]]:
    """Path, host or item, and the names that are visible there. Raises what can't be known yet."""
    scope = looker.scope
    if step.for_each is not None:
        for n, item in enumerate(items_of(step, scope)):
            yield f"{path}[{n}]", label(item), looker.within(scope.each(n, item))
    elif step.approve or step.notify:
        yield path, None, looker
    else:
        for host in looker.targets_of(step):
            unit = f"{path}[{host}]" if step.hosts is not None and host else path
            yield unit, host, looker.within(scope.unit(host) if scope.host is None else scope.standing(host))


def _outlook(step: Step, looker: Looker) -> tuple[Outlook, str, str]:
    """What it would do, why, and a diff."""
    if step.approve or step.notify:
        return (Outlook.gate if step.approve else Outlook.notify), "", ""
    if step.block is None and not looker.changes(step):
        return Outlook.look, "", ""
    if step.when is not None:
        return Outlook.unknown, f"depends on: {step.when}", ""
    if step.manual is not None and step.done_when is None:
        return Outlook.manual, "", ""
    own = own_look(step, looker.scope.world) if step.block is None else None
    done = step.done_when or (own[0] if own else None)
    if done is None:
        return Outlook.change, "it has no done_when to look at" if step.block is None else "", ""
    if done.expect is not None and "before" in names(done.expect):
        return Outlook.change, "", ""
    seen = looker.once(done)
    if seen.truth is Truth.true and step.unreachable is None:
        return Outlook.already, "", ""
    if seen.truth is Truth.unknown:
        return Outlook.unknown, seen.why, ""
    diff = next((h.observation.diff for h in seen.hosts), "")
    return (Outlook.manual if step.manual is not None else Outlook.change), seen.why, diff
