"""The steps of a run as rows: the plan's tree, with what is known of each step in each unit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from hisauto.cli.snapshot import Snapshot
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.plan.plan import Plan
from hisauto.runbook.documents import Step

_NAME = re.compile(r"\{\{\s*params\.(\w+)\s*\}\}")
PENDING = "pending"
RUNNING = "running"
WAITING = "waiting"
BAD = ("failed", "in_doubt", "undo_failed", "false", "unknown")


@dataclass(frozen=True)
class Row:
    """One line."""

    path: str
    depth: int
    name: str
    where: str
    """A host, the pattern of those to come, or nothing."""
    state: str
    why: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    tries: int = 1


def rows(snapshot: Snapshot) -> list[Row]:
    """Steps, in the order of the runbook."""
    return list(_Tree(snapshot).steps(snapshot.plan.runbook.steps, "", 0, None))


def always(snapshot: Snapshot) -> list[Row]:
    """What is done at every end, as far as it was begun."""
    found = _Tree(snapshot).steps(snapshot.plan.runbook.always, "always.", 0, None)
    return [row for row in found if row.state != PENDING]


def checks(snapshot: Snapshot, key: str) -> list[Row]:
    """Guards (``guards``, ``guards:change``), as they were taken."""
    noted = snapshot.memo(key)
    if not noted:
        return []
    words = {"true": "holds", "false": "false", "unknown": "unknown"}
    return [
        Row(f"{key}.{n}", 0, guard["name"], "", words.get(guard["truth"], "unknown"), guard["why"])
        for n, guard in enumerate(noted["guards"], 1)
    ]


def proofs(snapshot: Snapshot) -> list[Row]:
    """``verify``: what held, what is being looked at."""
    found = []
    current = snapshot.view.state is RunState.verifying
    for n, probe in enumerate(snapshot.plan.runbook.verify, 1):
        known = snapshot.memo(f"verify:{n}")
        state = "holds" if known is not None else RUNNING if current else PENDING
        current = current and known is not None
        found.append(Row(f"verify:{n}", 0, probe.name or f"verify {n}", to_come(snapshot.plan, probe.hosts), state))
    return found


def to_come(plan: Plan, pattern: str | None) -> str:
    """The hosts that a pattern will mean, as far as the plan has them by name; else the pattern."""
    found = _NAME.sub(lambda m: str(plan.params.get(m[1], m[0])), pattern or "")
    return ", ".join(plan.hosts.get(found, (found,)))


def step_at(steps: Sequence[Step], path: str) -> Step | None:
    """The step that an attempt's path names; None for what stands in no list (an undo, ``always``)."""
    found: Step | None = None
    if not re.fullmatch(r"\d+(\[[^\]]*\])?(\.\d+(\[[^\]]*\])?)*", path):
        return None
    for number in re.sub(r"\[[^\]]*\]", "", path).split("."):
        if not 0 < int(number) <= len(steps):
            return None
        found = steps[int(number) - 1]
        steps = found.block or ()
    return found


class _Tree:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.by_path: dict[str, list[Attempt]] = {}
        for attempt in snapshot.attempts:
            self.by_path.setdefault(attempt.path, []).append(attempt)

    def steps(self, steps: Sequence[Step], prefix: str, depth: int, unit: str | None) -> Iterator[Row]:
        for n, step in enumerate(steps, 1):
            yield from self.step(step, f"{prefix}{n}", depth, unit)

    def step(self, step: Step, path: str, depth: int, unit: str | None) -> Iterator[Row]:
        if step.hosts is None or path in self.by_path:
            yield from self.one(step, path, depth, unit or "")
            return
        hosts = self.snapshot.memo(f"hosts:{path}") or self._seen_at(path)
        if not hosts:
            yield Row(path, depth, step.name, to_come(self.snapshot.plan, step.hosts), PENDING)
            return
        for host in hosts:
            yield from self.one(step, f"{path}[{host}]", depth, host)

    def _seen_at(self, path: str) -> list[str]:
        """The units that have begun: where the list itself was too large for the log."""
        begun = (
            known.removeprefix(f"{path}[").partition("]") for known in self.by_path if known.startswith(f"{path}[")
        )
        return list(dict.fromkeys(host for host, _, _ in begun))

    def one(self, step: Step, path: str, depth: int, where: str) -> Iterator[Row]:
        """One step in one unit, and what is in it."""
        if self.snapshot.memo(f"when:{path}") is False:
            yield Row(path, depth, step.name, where, "skipped", f"not so: {step.when}")
        elif step.approve is not None:
            yield self._gate(step, path, depth)
        elif step.notify is not None:
            state = "done" if f"notify:{path}" in self.snapshot.memos else PENDING
            yield Row(path, depth, step.name, where, state)
        elif step.block is not None:
            begun = self.snapshot.memo(f"block:{path}")
            if begun is not None and begun["already"]:
                yield Row(path, depth, step.name, where, "already")
                return
            inner = list(self.steps(step.block, f"{path}.", depth + 1, where))
            yield self._block(step, path, depth, where, inner)
            yield from inner
        else:
            yield self._attempt(step, path, depth, where)

    def _attempt(self, step: Step, path: str, depth: int, where: str) -> Row:
        tries = self.by_path.get(path)
        if not tries:
            return Row(path, depth, step.name, where, PENDING)
        newest = tries[-1]
        state = RUNNING if newest.state is AttemptState.started else newest.state.value
        why = str(newest.result.get("why") or newest.result.get("undo") or "")
        began, ended = tries[0].started_at, newest.ended_at
        return Row(path, depth, step.name, newest.host or where, state, why, began, ended, len(tries))

    def _gate(self, step: Step, path: str, depth: int) -> Row:
        granted, opened = self.snapshot.memo(f"gate.granted:{path}"), self.snapshot.memo(f"gate:{path}")
        view = self.snapshot.view
        began = datetime.fromisoformat(opened["opened_at"]) if opened else None
        if granted is not None:
            return Row(path, depth, step.name, "", "granted", granted["why"], began)
        if opened is None:
            return Row(path, depth, step.name, "", PENDING)
        noes = [d.person for d in self.snapshot.decisions if (d.question, d.answer) == (f"gate:{path}", "no")]
        if noes:
            return Row(path, depth, step.name, "", "failed", f"{', '.join(noes)} said no", began, view.ended_at)
        if view.state.ended:
            late = view.state is RunState.expired
            why = "nobody decided in time" if late else "it ended before this was decided"
            return Row(path, depth, step.name, "", "failed" if late else "skipped", why, began, view.ended_at)
        return Row(path, depth, step.name, "", WAITING, "", began)

    def _block(self, step: Step, path: str, depth: int, where: str, inner: Sequence[Row]) -> Row:
        states = {row.state for row in inner}
        if f"block.done:{path}" in self.snapshot.memos or any(
            (self.snapshot.memo(f"way:{path}.{n}") or {}).get("led") for n in range(1, len(inner) + 1)
        ):
            state = "done"
        elif states <= {PENDING}:
            state = PENDING
        else:
            order = (RUNNING, WAITING, "in_doubt", "undo_failed", "failed", PENDING, "undone", "done")
            state = next((s for s in order if s in states), "done")
            state = RUNNING if state == PENDING and not self.snapshot.view.state.ended else state
        began = min((row.began for row in inner if row.began), default=None)
        ends = [row.ended for row in inner if row.ended]
        ended = max(ends) if ends and state not in (RUNNING, WAITING) else None
        return Row(path, depth, step.name, where, state, "", began, ended)
