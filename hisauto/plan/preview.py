"""A plan host by host, before anyone approves: will change, already so, cannot be known yet. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from hisauto.errors import HisautoError
from hisauto.plan.look import Looker, Seen
from hisauto.plan.plan import Plan
from hisauto.runbook.documents import Probe, Step
from hisauto.runbook.expressions import Truth, names
from hisauto.runbook.scope import Results


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


def guards(plan: Plan, looker: Looker) -> Iterator[tuple[str, Probe, Seen]]:
    """Every guard, taken once, in order; all are reported. What one registers is there for the next."""
    for n, guard in enumerate(plan.runbook.guards, 1):
        seen = looker.once(guard)
        if guard.register_:
            values = {h.host or "node": dict(h.observation.values) for h in seen.hosts}
            looker = looker.within(looker.scope.plus(**{guard.register_: Results(hosts=values)}))
        yield guard.name or f"guard {n}", guard, seen


def preview(plan: Plan, looker: Looker) -> list[Line]:
    """Look at every step's ``done_when`` where it can be looked at now."""
    lines: list[Line] = []
    _steps(plan.runbook.steps, "", 0, looker, lines)
    return lines


def _steps(steps: tuple[Step, ...], prefix: str, depth: int, looker: Looker, lines: list[Line]) -> None:
    for i, step in enumerate(steps, 1):
        path = f"{prefix}{i}"
        if step.approve or step.notify:
            outlook = Outlook.gate if step.approve else Outlook.notify
            lines.append(Line(path, step.name, None, outlook, "", depth, None, False))
            continue
        try:
            hosts = looker.targets_of(step)
        except HisautoError as e:
            lines.append(_line(path, step, None, Outlook.unknown, str(e), depth))
            continue
        for host in hosts:
            unit = f"{path}[{host}]" if step.hosts is not None and host else path
            scope = looker.scope
            at = looker.within(scope.unit(host) if scope.host is None else scope.standing(host))
            outlook, why = _outlook(step, at, host)
            lines.append(_line(unit, step, host, outlook, why, depth))
            if step.block is not None and outlook is not Outlook.already:
                _steps(step.block, f"{unit}.", depth + 1, at, lines)


def _line(path: str, step: Step, host: str | None, outlook: Outlook, why: str, depth: int) -> Line:
    return Line(path, step.name, host, outlook, why, depth, step.irreversible, step.undo is not None)


def _outlook(step: Step, looker: Looker, host: str | None) -> tuple[Outlook, str]:
    if step.block is None and not looker.changes(step):
        return Outlook.look, ""
    done = step.done_when
    if done is None:
        return Outlook.change, "it has no done_when to look at" if step.block is None else ""
    if step.when is not None:
        return Outlook.unknown, f"depends on: {step.when}"
    if done.expect is not None and "before" in names(done.expect):
        return Outlook.change, ""
    seen = looker.once(done)
    if seen.truth is Truth.true and step.unreachable is None:
        return Outlook.already, ""
    if seen.truth is Truth.unknown:
        return Outlook.unknown, seen.why
    return Outlook.change, seen.why
