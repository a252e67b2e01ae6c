"""The steps of a run as rows: the plan's tree, with what is known of each step in each unit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from hisauto.cli.language import tr
from hisauto.cli.snapshot import Snapshot
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.plan.items import label
from hisauto.plan.places import place, round_of, rounds
from hisauto.runbook.documents import Part, Step

_NAME = re.compile(r"\{\{\s*params\.(\w+)\s*\}\}")
CHANGE = "guards:change"
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
        Row(f"{key}.{n}", 0, guard["name"], "", words.get(guard["truth"], "unknown"), tr(guard["why"]))
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
        where = to_come(snapshot.plan.parts[""], probe.hosts)
        found.append(Row(f"verify:{n}", 0, probe.name or tr(f"verify {n}"), where, state))
    return found


def to_come(plan: Part, pattern: str | None) -> str:
    """The hosts that a pattern will mean, as far as the plan has them by name; else the pattern."""
    found = _NAME.sub(lambda m: str(plan.params.get(m[1], m[0])), pattern or "")
    return ", ".join(plan.hosts.get(found, (found,)))


def latest_guards(snapshot: Snapshot) -> str:
    """The key of the guards that were taken last: by a later drive, before the first change, or under the locks."""
    keys = [key for key in snapshot.memos if key == CHANGE or key.startswith(f"{CHANGE}:")]
    return max(keys, key=lambda key: int(key.removeprefix(CHANGE).lstrip(":") or 0), default="guards")


class _Tree:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.by_path: dict[str, list[Attempt]] = {}
        for attempt in snapshot.attempts:
            self.by_path.setdefault(attempt.path, []).append(attempt)

    def plan(self, path: str) -> Part:
        """The runbook that a step at this path is of."""
        found = place(self.snapshot.plan.runbook.steps, path)
        return self.snapshot.plan.parts[found.space if found is not None else ""]

    def steps(self, steps: Sequence[Step], prefix: str, depth: int, unit: str | None) -> Iterator[Row]:
        for n, step in enumerate(steps, 1):
            yield from self.step(step, f"{prefix}{n}", depth, unit)

    def step(self, step: Step, path: str, depth: int, unit: str | None) -> Iterator[Row]:
        if step.for_each is not None:
            yield from self._items(step, path, depth)
            return
        if step.hosts is None or path in self.by_path:
            yield from self.one(step, path, depth, unit or "")
            return
        hosts = self.snapshot.memo(f"hosts:{path}") or self._seen_at(path)
        if not hosts:
            yield Row(path, depth, step.name, to_come(self.plan(path), step.hosts), PENDING)
            return
        for host in hosts:
            yield from self.one(step, f"{path}[{host}]", depth, host)

    def _items(self, step: Step, path: str, depth: int) -> Iterator[Row]:
        items = self.snapshot.memo(f"items:{path}")
        if items is None:
            yield Row(path, depth, step.name, tr("for each item"), PENDING)
        elif not items:
            yield Row(path, depth, step.name, tr("no item"), "done")
        for number, item in enumerate(items or ()):
            yield from self.one(step, f"{path}[{number}]", depth, label(item))

    def _seen_at(self, path: str) -> list[str]:
        """The units that have begun: where the list itself was too large for the log."""
        begun = (
            known.removeprefix(f"{path}[").partition("]") for known in self.by_path if known.startswith(f"{path}[")
        )
        return list(dict.fromkeys(host for host, _, _ in begun))

    def one(self, step: Step, path: str, depth: int, where: str) -> Iterator[Row]:
        """One step in one unit, and what is in it."""
        if self.snapshot.memo(f"when:{path}") is False:
            yield Row(path, depth, step.name, where, "skipped", tr(f"not so: {step.when}"))
        elif step.approve is not None:
            yield self._gate(step, path, depth)
        elif step.notify is not None:
            state = "done" if f"notify:{path}" in self.snapshot.memos else PENDING
            yield Row(path, depth, step.name, where, state)
        elif step.block is not None:
            number = rounds(path, self.snapshot.memo)
            latest = round_of(path, number)
            begun = self.snapshot.memo(f"block:{latest}")
            if begun is not None and begun["already"]:
                yield Row(path, depth, step.name, where, "already", tries=number)
                return
            inner = list(self.steps(step.block, f"{latest}.", depth + 1, where))
            yield self._block(step, latest, depth, where, inner, number)
            yield from inner
        else:
            yield self._attempt(step, path, depth, where)

    def _attempt(self, step: Step, path: str, depth: int, where: str) -> Row:
        tries = self.by_path.get(path)
        if not tries:
            return Row(path, depth, step.name, where, PENDING)
        newest = tries[-1]
        working = WAITING if "manual" in newest.intent else RUNNING
        state = working if newest.state is AttemptState.started else newest.state.value
        why = tr(str(newest.result.get("why") or newest.result.get("undo") or ""))
        began, ended = tries[0].started_at, newest.ended_at
        return Row(path, depth, step.name, newest.host or where, state, why, began, ended, len(tries))

    def _gate(self, step: Step, path: str, depth: int) -> Row:
        number, gate = 1, path
        while self.snapshot.memo(f"gate:{path}#{number + 1}") is not None:
            number += 1
            gate = f"{path}#{number}"
        granted, opened = self.snapshot.memo(f"gate.granted:{gate}"), self.snapshot.memo(f"gate:{gate}")
        view = self.snapshot.view
        began = datetime.fromisoformat(opened["opened_at"]) if opened else None
        if granted is not None:
            return Row(path, depth, step.name, "", "granted", tr(granted["why"]), began)
        if opened is None:
            return Row(path, depth, step.name, "", PENDING)
        if (denied := self.snapshot.memo(f"gate.denied:{gate}")) is not None:
            return Row(path, depth, step.name, "", "failed", tr(denied["why"]), began, view.ended_at)
        if view.state.ended:
            why = tr("it ended before this was decided")
            return Row(path, depth, step.name, "", "skipped", why, began, view.ended_at)
        return Row(path, depth, step.name, "", WAITING, "", began)

    def _block(self, step: Step, path: str, depth: int, where: str, inner: Sequence[Row], tries: int) -> Row:
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
        return Row(path, depth, step.name, where, state, "", began, ended, tries)
