"""What has to hold of every run, whatever went wrong in it. Judged from the world and the record, not by the engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

from hisauto.clock import Clock
from hisauto.engine.drive import touched
from hisauto.model.run import Attempt, AttemptState, RunState, RunView
from hisauto.plan.look import Looker
from hisauto.plan.places import place
from hisauto.plan.plan import Plan
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import Truth
from hisauto.store.store import Store
from hisauto.testing.rehearsal.faults import How, Schedule
from hisauto.testing.rehearsal.world import Eye, ModelWorld

RUN = ("id", "incident", "level", "requester", "reason", "end")
GREEN = frozenset({RunState.succeeded, RunState.partial})
UNTOUCHED = frozenset({RunState.refused, RunState.rejected, RunState.expired})
BACK = frozenset({RunState.rolled_back, RunState.cancelled})
OWED = frozenset({AttemptState.done, AttemptState.failed, AttemptState.in_doubt, AttemptState.undo_failed})


def in_a_state(plan: Plan, world: ModelWorld, clock: Clock, known: dict[str, list[str]]) -> list[str]:
    """Every ``never`` that is so now. ``known``: the answers for states that were seen before."""
    key = json.dumps(world.model.state, sort_keys=True, default=str)
    if key not in known:
        found = [f"never: {name}" for name in world.model.broken()]
        for space, part in plan.parts.items():
            for n, never in enumerate(part.runbook.never, 1):
                if _eye(plan, world, clock, space).once(never).truth is Truth.true:
                    found.append(f"never: {never.name or n}")
        known[key] = found
    return known[key]


def at_the_end(plan: Plan, world: ModelWorld, store: Store, view: RunView, schedule: Schedule) -> list[str]:
    """Everything that is wrong with how it ended."""
    world.tick()
    attempts = store.attempts(view.id)
    found = [*_twice(plan, world, attempts, schedule)]
    if not view.state.ended:
        return found
    found += [f"a lock is left: {lock.key}" for lock in store.locks() if lock.run == view.id]
    if view.state in GREEN:
        found += _green(plan, world)
    else:
        found += _owed(plan, view, attempts)
        found += _as_before(plan, world, view, attempts, schedule)
    return found


def _eye(plan: Plan, world: ModelWorld, clock: Clock, space: str = "") -> Looker:
    return Looker(Scope(Eye(world, "eye"), plan.names(space, **dict.fromkeys(RUN)), space=space), clock)


def _green(plan: Plan, world: ModelWorld) -> Iterator[str]:
    """Success is what ``verify`` says, now, to whoever can see everything."""
    for n, probe in enumerate(plan.runbook.verify, 1):
        seen = _eye(plan, world, world.clock).once(probe)
        if seen.truth is not Truth.true:
            yield f"it says success, and verify does not hold: {probe.name or n}: {seen.why}"


def _twice(plan: Plan, world: ModelWorld, attempts: list[Attempt], schedule: Schedule) -> Iterator[str]:
    """One attempt begins once; what isn't idempotent takes effect once."""
    for attempt, times in Counter(attempt for attempt, _ in world.started).items():
        if times > 1:
            yield f"an effect twice: {attempt} was begun {times} times"
    if any(fault.how in (How.late, How.too_late) for fault in schedule.faults):
        return  # who looked before it showed could not know
    paths = {a.id: a.path for a in attempts}
    effects = {attempt: None for attempt, _ in world.effects if attempt in paths}
    for path, times in Counter(paths[attempt] for attempt in effects).items():
        step = _step(plan, path)
        if times > 1 and step is not None and not step.idempotent:
            yield f"an effect twice: {step.name} ({path}) took effect {times} times, and is not idempotent"


def _owed(plan: Plan, view: RunView, attempts: list[Attempt]) -> Iterator[str]:
    """Where it says that it went back, each undo that was owed is done, or listed."""
    if view.state not in (*BACK, RunState.rollback_failed):
        return
    listed = {item["step"] for item in view.summary.get("left", ())}
    newest = {a.path: a for a in sorted(attempts, key=lambda a: a.n) if touched(a)}
    for attempt in newest.values():
        step = _step(plan, attempt.path)
        owed = step is not None and step.undo is not None and "!" not in attempt.path and attempt.state in OWED
        if owed and attempt.id not in listed:
            yield f"an undo is owed, and neither done nor listed: {attempt.name} ({attempt.id})"


def _as_before(
    plan: Plan, world: ModelWorld, view: RunView, attempts: list[Attempt], schedule: Schedule
) -> Iterator[str]:
    """What says that nothing was touched, or that all was undone, leaves the world as it was."""
    if view.state not in (*UNTOUCHED, *BACK):
        return
    late = {fault.at for fault in schedule.faults if fault.how in (How.late, How.too_late)}
    forever = {a.id for a in attempts if a.intent.get("irreversible") or a.path.startswith("always")}
    for variable, how in world.model.differences():
        causes = {attempt for attempt, changed in world.effects if changed == variable}
        stays = causes & (forever | late) or any(fnmatchcase(variable, p) for p in world.model.facts.stays)
        if view.state in BACK and stays:
            continue
        word = "nothing was touched" if view.state in UNTOUCHED else "all was undone"
        yield f"it says {view.state}, so that {word}, and {variable} is {how}"


def _step(plan: Plan, path: str) -> Step | None:
    found = place(plan.runbook.steps, path)
    return found.step if found is not None else None
