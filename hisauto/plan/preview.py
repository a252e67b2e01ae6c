"""A plan host by host, before anyone approves: will change, already so, cannot be known yet. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from hisauto.errors import HisautoError
from hisauto.plan.look import FANOUT, Looker, call_of
from hisauto.plan.plan import Plan
from hisauto.runbook.documents import Probe, Step
from hisauto.runbook.expressions import Truth, names


class Outlook(StrEnum):
    """What a step would do now."""

    change = "change"
    already = "already"
    unknown = "unknown"
    look = "look"
    gate = "gate"
    notify = "notify"


@dataclass(frozen=True)
class Line:
    """One step on one host. ``depth`` is how deep in blocks it stands."""

    path: str
    name: str
    host: str | None
    outlook: Outlook
    why: str
    depth: int
    irreversible: str | None
    undo: bool


def preview(plan: Plan, looker: Looker) -> list[Line]:
    """Look at every step's ``done_when`` where it can be looked at now, side by side."""
    wanted = list(_places(plan.runbook.steps, "", 0, looker))
    with ThreadPoolExecutor(FANOUT) as pool:
        lines = list(pool.map(lambda place: place.line(), wanted))
    done = tuple(f"{line.path}." for line in lines if line.outlook is Outlook.already)
    return [line for line in lines if not line.path.startswith(done)]  # nothing happens inside a block that is done


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
        outlook, why = (Outlook.unknown, self.why) if self.why else _outlook(self.step, self.looker)
        step = self.step
        return Line(self.path, step.name, self.host, outlook, why, self.depth, step.irreversible, step.undo is not None)


def _places(steps: tuple[Step, ...], prefix: str, depth: int, looker: Looker) -> Iterator[_Place]:
    for i, step in enumerate(steps, 1):
        path, scope = f"{prefix}{i}", looker.scope
        try:
            hosts = looker.targets_of(step) if not (step.approve or step.notify) else [None]
        except HisautoError as e:
            yield _Place(step, path, None, depth, looker, str(e))
            continue
        for host in hosts:
            unit = f"{path}[{host}]" if step.hosts is not None and host else path
            at = looker.within(scope.unit(host) if scope.host is None else scope.standing(host))
            yield _Place(step, unit, host, depth, at)
            if step.block is not None:
                yield from _places(step.block, f"{unit}.", depth + 1, at)


def _outlook(step: Step, looker: Looker) -> tuple[Outlook, str]:
    if step.approve or step.notify:
        return (Outlook.gate if step.approve else Outlook.notify), ""
    if step.block is None and not looker.changes(step):
        return Outlook.look, ""
    done = step.done_when
    if step.when is not None:
        return Outlook.unknown, f"depends on: {step.when}"
    if done is None and step.action is not None and looker.scope.world.actions[step.action.kind].preview:
        done = Probe(action=call_of(step), expect="changed == 0", timeout=step.timeout)
    if done is None:
        return Outlook.change, "it has no done_when to look at" if step.block is None else ""
    if done.expect is not None and "before" in names(done.expect):
        return Outlook.change, ""
    seen = looker.once(done)
    if seen.truth is Truth.true and step.unreachable is None:
        return Outlook.already, ""
    if seen.truth is Truth.unknown:
        return Outlook.unknown, seen.why
    return Outlook.change, seen.why
