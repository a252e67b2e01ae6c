"""The way back: what this run started is undone in reverse, and what can't be is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from hisauto.clock import stamp
from hisauto.engine.attempt import Attempter
from hisauto.engine.batches import batches, sizes
from hisauto.engine.outcome import UNFIT
from hisauto.errors import Unreachable
from hisauto.model.run import Attempt, AttemptState
from hisauto.plan.look import FANOUT, Rendered, fill, settled
from hisauto.plan.places import inside, place, round_of, rounds, units
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Call, Step, Undo

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

T = TypeVar("T")
DONE = frozenset({AttemptState.done, AttemptState.already})
OWED = frozenset({AttemptState.done, AttemptState.failed, AttemptState.in_doubt})
TRY_AGAIN = 2.0
"""Seconds between two tries to reach a host where something is to be undone."""


class Rollback:
    """Undoes for one drive: a unit (by its path), or the whole run (prefix '')."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal

    def run(self, prefix: str) -> None:
        """Undo all that is owed, the later step first."""
        # A unit that was undone may have been run again: that is another rollback.
        last = max((a.seq for a in self.journal.attempts() if inside(a.path, prefix)), default=0)
        now = stamp(self.drive.clock.now())
        noted = self.journal.note(f"rollback:{prefix}:{last}", {"at": now}, kind="rollback")
        self.begun = datetime.fromisoformat(noted["at"])
        self.end = self.begun.timestamp() + self.drive.plan.runbook.rollback_within
        self.newest = {a.path: a for a in self._newest()}
        if not prefix:
            self._list(self.drive.plan.runbook.steps, "")
        elif (found := place(self.drive.plan.runbook.steps, prefix)) is not None:
            self._unit(found.step, prefix)

    # ---------------------------------------------------------------- in reverse
    def _list(self, steps: Sequence[Step], prefix: str) -> None:
        for n in range(len(steps), 0, -1):
            self._step(steps[n - 1], f"{prefix}{n}")

    def _step(self, step: Step, path: str) -> None:
        """The batch that began last first; in the batch sizes of the way there, and side by side within."""
        if step.units:
            begun = [unit for unit in units(step, path, self.journal.recall) if self._began(unit)]
            for batch in reversed(batches(begun, sizes(step))):
                _side_by_side(lambda unit: self._unit(step, unit), list(reversed(batch)))
        else:
            self._unit(step, path)

    def _unit(self, step: Step, path: str) -> None:
        """A unit, whole: the rounds of a block, the last first."""
        if step.block is None:
            if (attempt := self.newest.get(path)) is not None and attempt.state in OWED:
                self._settle(attempt)
            return
        for number in range(rounds(path, self.journal.recall), 0, -1):
            prefix = f"{round_of(path, number)}."
            if step.together is not None:
                branches = [(one, f"{prefix}{n}") for n, one in enumerate(step.together, 1)]
                _side_by_side(lambda branch: self._step(*branch), branches)
            else:
                self._list(step.block, prefix)

    def _began(self, unit: str) -> bool:
        return any(inside(a.path, unit) for a in self.journal.attempts())

    # ---------------------------------------------------------------- what is owed
    def left(self, *, unstarted: bool) -> list[dict[str, Any]]:
        """What is left to do by hand; ``unstarted``: what nobody began to undo, too."""
        states = OWED | {AttemptState.undo_failed} if unstarted else {AttemptState.undo_failed}
        return [
            {
                "step": a.id,
                "name": a.name,
                "host": a.host,
                "undo": a.intent["undo"]["action"],
                "why": a.result.get("undo") or "nothing was undone: the point of no return is behind it",
            }
            for a in self._newest()
            if a.state in states
        ]

    def _newest(self) -> Iterable[Attempt]:
        """Of each path the newest attempt that began and has an undo. What is done at every end is never undone."""
        newest: dict[str, Attempt] = {}
        for a in self.journal.attempts():
            begun = a.intent.get("sent", True) and not a.result.get("never_started")
            if begun and a.intent.get("undo") and place(self.drive.plan.runbook.steps, a.path) is not None:
                newest[a.path] = a
        return newest.values()

    def _stopped(self) -> bool:
        return len({d.person for d in self.drive.decisions.stops() if d.at > self.begun}) >= 2

    def _settle(self, attempt: Attempt) -> None:
        why = "two people stopped the rollback" if self._stopped() else self._undo(attempt)
        state = AttemptState.undo_failed if why else AttemptState.undone
        self.journal.record(attempt.path, attempt.n, state, result={**attempt.result, "undo": why})

    def _undo(self, attempt: Attempt) -> str:
        """Why it could not be undone, or nothing."""
        found = place(self.drive.plan.runbook.steps, attempt.path)
        assert found is not None
        undo = found.step.undo
        assert undo is not None
        return "; ".join(filter(None, (self._at(attempt, undo, host) for host in attempt.intent["undo"]["hosts"])))

    def _at(self, attempt: Attempt, undo: Undo, host: str | None) -> str:
        """Look first, then run it. Tries again while the host can't be reached and there is time."""
        action = attempt.intent["undo"]["action"]
        scope = self.drive.scope_at(attempt.path, attempt.intent.get("batch", 1)).standing(host)
        fields = action["fields"]
        if attempt.intent.get("masked"):
            fields = fill(undo.action, scope, attempt.host).fields
        step = Step(
            name=f"undo: {attempt.name}",
            action=Call(kind=action["kind"], fields=fields),
            done_when=undo.done_when,
            within=undo.within,
            timeout=undo.timeout,
            become=undo.become,
            env=undo.env,
            idempotent=undo.idempotent,
        )
        step = settled(step, scope.world, Rendered)
        path = (attempt.path if attempt.n == 1 else attempt.id) + "!undo"
        path += f"[{host}]" if host != attempt.host else ""
        if attempt.state is not AttemptState.done and step.done_when is None and not undo.idempotent:
            return "whether there is anything to undo cannot be told, and the undo does not look"
        while True:
            try:
                tried = self._try(step, path, scope, fields)
            except UNFIT as e:
                return str(e)
            if tried.state in DONE:
                return ""
            why = str(tried.result["why"])
            again = tried.state is AttemptState.failed and tried.result["unreachable"]
            if not again or not self._time_left():
                return f"unreachable: {why}" if tried.result["unreachable"] else why
            self.drive.clock.sleep(TRY_AGAIN)

    def _try(self, step: Step, path: str, scope: Scope, fields: dict[str, Any]) -> Attempt:
        """One attempt of the undo, or what an earlier drive left of it."""
        attempter = Attempter(self.drive)
        n = self.drive.latest(path)
        known = self.journal.attempt(path, n)
        if known is not None and known.state is not AttemptState.started:
            looks = step.idempotent or step.done_when is not None
            if not known.result.get("unreachable") or (known.state is AttemptState.in_doubt and not looks):
                return known
            n, known = n + 1, None
        if known is None:
            self._reach(step, path, scope, fields)
        attempt = known or attempter.begin(step, path, n, scope, scope.here, fields)
        if attempt.state is AttemptState.started:
            patience = max(0.0, self.end - self.drive.clock.now().timestamp())
            attempt = attempter.finish(step, attempt, scope, fresh=known is None, rendered=fields, patience=patience)
        return attempt

    def _reach(self, step: Step, path: str, scope: Scope, fields: dict[str, Any]) -> None:
        """Wait until the undo's host can be reached, or there is no time left: no attempt begins before."""
        assert step.action is not None
        call = Call(kind=step.action.kind, fields=fields)
        where, script = self.drive.looker(scope).concrete(call, scope.here, purpose="change", timeout=step.timeout,
                                                          become=step.become, attempt=f"{path}#1")  # fmt: skip
        while True:
            try:
                scope.world.session(where).place(script.become)
                return
            except Unreachable:
                if not self._time_left():
                    return
            self.drive.clock.sleep(TRY_AGAIN)

    def _time_left(self) -> bool:
        return self.drive.clock.now().timestamp() < self.end and not self._stopped()


def _side_by_side(one: Callable[[T], None], all_of: Sequence[T]) -> None:
    if len(all_of) == 1:
        one(all_of[0])
        return
    with ThreadPoolExecutor(min(FANOUT, len(all_of) or 1)) as pool:
        list(pool.map(one, all_of))
