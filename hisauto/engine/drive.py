"""Driving a run: a function of plan and journal. It can be stopped anywhere and started again anywhere."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hisauto.clock import Clock, stamp
from hisauto.engine.decisions import Decisions, as_signed
from hisauto.engine.gates import Gates
from hisauto.engine.guarding import Guarding
from hisauto.engine.outcome import Ended, Failure, Forbidden, Waiting
from hisauto.engine.rollback import Rollback, inside, step_at, unit_of
from hisauto.engine.steps import UNDONE, Walker
from hisauto.errors import HisautoError
from hisauto.model.journal import Journal
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.model.world import World
from hisauto.plan.look import Looker, Seen
from hisauto.plan.plan import Plan
from hisauto.plan.scope import Scope
from hisauto.redact import mask
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import Truth, render_value
from hisauto.runbook.scope import Results

CANCEL_EVERY = 0.1
"""Seconds between two looks at whether the run was cancelled, while something is at work."""


@dataclass
class Registered:
    """A name's values by host, and where and when they are from."""

    source: str
    at: str
    by_host: dict[str, Mapping[str, Any]] = field(default_factory=dict)


class Cancel(Ended):
    """A person said stop."""


class Drive:
    """One node at work on one run, under one epoch."""

    def __init__(self, journal: Journal, world: World, clock: Clock) -> None:
        self.journal, self.world, self.clock = journal, world, clock
        self.run = as_signed(journal.view(), journal.request())
        self.plan = Plan.from_json(journal.plan())
        self.registered: dict[str, Registered] = {}
        self.decisions = Decisions(self)
        self.gates = Gates(self)
        self.guarding = Guarding(self)
        self.mutex = threading.RLock()
        self.first_change = threading.Lock()
        self._asked = -math.inf
        self._cancelled = False
        self._before_change_done = False

    # ---------------------------------------------------------------- the way through
    def go(self) -> RunState | None:
        """Drive until the end, or until somebody has to say something. Returns the end, or None when parked."""
        while True:
            seen = self.journal.inbox()
            self.registered.clear()
            self.walker = Walker(self)
            self._restore()
            try:
                return self._through()
            except Waiting as w:
                if self.journal.park(w.state, w.question, w.wake_at, seen):
                    return None

    def _through(self) -> RunState:
        verdict = self.journal.recall("verdict")
        if verdict is None:
            verdict = self._body()
        end = RunState(verdict["end"])
        if verdict["rollback"] or end is RunState.rollback_failed:
            self._move(RunState.rolling_back)
        if verdict["rollback"]:
            self.rollback("")
            end = RunState.rollback_failed if self.left(end) else end
        if end is not RunState.refused:
            self._always(end)
        self.journal.end(end, self._summary(verdict, end))
        for host in {None, *(a.host for a in self.journal.attempts())}:
            self._forget(host)
        return end

    def _body(self) -> dict[str, Any]:
        """Locks, guards, steps, proof. Journals how it came out before anything is done about it."""
        try:
            self._lock()
            self._guard()
            self._move(RunState.running)
            self.walker.steps(self.plan.runbook.steps, "", self.scope())
            self._verify()
            end = RunState.partial if self.walker.tolerated else RunState.succeeded
            return self._conclude(end, "")
        except Cancel as c:
            return self._conclude(RunState.cancelled, c.why, rollback=self.changed() and not self.barred())
        except Ended as e:
            return self._conclude(e.state, e.why)
        except Failure as f:
            return self._failed(f)

    def _failed(self, failure: Failure) -> dict[str, Any]:
        policy = failure.policy or self.plan.runbook.on_failure
        if policy == "rollback" and self.barred():
            policy = "ask"  # past the point of no return nothing is undone by itself
        if policy == "ask":
            subject = failure.attempt or failure.path
            rounds = self.rounds(subject)
            question, answers = f"ask:{subject}:{rounds}", ("again", "rollback", "stop")
            decided = self.decisions.one(question, answers)
            if decided is None:
                raise Waiting(RunState.waiting, {"kind": "ask", "id": question, "step": subject, "why": failure.why,
                                                 "barred": self.barred(), "answers": list(answers)})  # fmt: skip
            if decided.answer == "again":
                undone = [
                    a.id
                    for a in self.journal.attempts()
                    if a.state in UNDONE and failure.undone is not None and inside(a.path, failure.undone)
                ]
                said = {"subject": subject, "undone": undone, "by": decided.person}
                self.journal.note(f"again:{len(self._agains())}", said, kind="again")
                self.walker = Walker(self)
                return self._body()
            policy = decided.answer
        return self._conclude(
            RunState.rolled_back if policy == "rollback" else RunState.failed,
            failure.why,
            rollback=policy == "rollback",
        )

    def _conclude(self, end: RunState, why: str, *, rollback: bool = False) -> dict[str, Any]:
        if end is RunState.cancelled and not rollback and self.changed():
            end = RunState.rollback_failed  # a cancel behind the point of no return leaves something
        verdict = {"end": end.value, "why": why, "rollback": rollback, "at": stamp(self.clock.now()),
                   "tolerated": self.walker.tolerated}  # fmt: skip
        noted: dict[str, Any] = self.journal.note("verdict", verdict, kind="verdict")
        return noted

    # ---------------------------------------------------------------- phases
    def _lock(self) -> None:
        self.check_cancel()
        if self.journal.recall("locked") is None:
            self._move(RunState.locking)
            holders = self.journal.take_locks(self.plan.locks)
            if holders:
                raise Waiting(RunState.locking, {"kind": "lock", "id": "lock", "for": dict(holders)})
            self.journal.note("locked", list(self.plan.locks), kind="locked")

    def _guard(self) -> None:
        if self.journal.recall("guards") is None:
            self._move(RunState.guarding)
        self.guarding.request()
        self.guarding.under_lock()

    def _restore(self) -> None:
        """Make known what guards and settled steps registered before this drive."""
        self.guarding.restore()
        for attempt in self.journal.attempts():
            step = step_at(self.plan.runbook.steps, attempt.path)
            if step is not None and attempt.result.get("outcome") in ("done", "already"):
                self.walker.register(step, attempt, unit_of(attempt.path))

    def _verify(self) -> None:
        """The proof that the service is back, from the users' side."""
        self._move(RunState.verifying)
        for n, probe in enumerate(self.plan.runbook.verify, 1):
            name, key = probe.name or f"verify {n}", f"verify:{n}"
            if self.journal.recall(key) is not None:
                continue
            seen = self.looker(self.scope()).until(probe, within=probe.within or 0.0, holds=probe.holds)
            self.check_cancel()
            if seen.truth is not Truth.true:
                word = "does not hold" if seen.truth is Truth.false else "cannot be told"
                raise Failure(key, f"{name} {word}: {seen.why}")
            measured = {m: self._measure(expr, seen) for m, expr in probe.measures.items()}
            self.journal.note(key, {"name": name, "measured": measured, **seen.values()}, kind="verified")
        self.journal.note("verified", {"at": stamp(self.clock.now())}, kind="verified")

    def _measure(self, expression: str, seen: Seen) -> float | None:
        """Seconds, the most over the hosts. None, unknown, if any of them gives no number."""
        scope = self.scope()
        found = [self.value(expression, {**scope.at(h.host), **h.observation.values}) for h in seen.hosts]
        numbers = [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
        return max(numbers) if numbers and len(numbers) == len(found) else None

    def _always(self, end: RunState) -> None:
        """At every end but ``refused``; cannot change it."""
        scope = self.scope().plus(run={**self.scope().names["run"], "end": end.value})
        for i, step in enumerate(self.plan.runbook.always, 1):
            try:
                Walker(self).step(step, f"always.{i}", scope)
            except (Failure, Ended, Waiting) as e:
                self.journal.note(f"always:{i}", f"{step.name}: {e}", kind="always.failed")

    def _summary(self, verdict: Mapping[str, Any], end: RunState) -> dict[str, Any]:
        objectives = self.plan.runbook.objectives
        verified = self.journal.recall("verified")
        rto = None
        if verified is not None:
            rto = (datetime.fromisoformat(verified["at"]) - self.run.reported_at).total_seconds()
        lost = [
            v["measured"]["rpo"]
            for n in range(1, len(self.plan.runbook.verify) + 1)
            if (v := self.journal.recall(f"verify:{n}")) is not None and "rpo" in v["measured"]
        ]
        return {
            "why": verdict["why"],
            "rto": {"promised": objectives.rto, "measured": rto},
            "rpo": {"promised": objectives.rpo, "measured": None if None in lost or not lost else max(lost)},
            "tolerated": verdict["tolerated"],
            "left": self.left(end),
        }

    # ---------------------------------------------------------------- what the walk asks for
    def scope(self) -> Scope:
        """The names that are visible now."""
        run = {"id": self.run.id, "incident": self.run.incident, "level": self.run.level,
               "requester": self.run.requester, "reason": self.run.reason, "end": None}  # fmt: skip
        names = self.plan.names(**run)
        with self.mutex:
            names |= {name: Results(hosts=dict(r.by_host)) for name, r in self.registered.items()}
        return Scope(self.world, names)

    def looker(self, scope: Scope) -> Looker:
        """Eyes at a point of the run."""
        return Looker(self.informed(scope), self.clock, self.cancelled)

    def informed(self, scope: Scope) -> Scope:
        """The scope with all that is registered by now, as the unit sees it."""
        with self.mutex:
            known = {
                name: Results(hosts=dict(r.by_host), own=r.by_host.get(scope.host or ""))
                for name, r in self.registered.items()
            }
        return scope.plus(**known)

    def value(self, expression: str, names: Mapping[str, Any]) -> Any:
        try:
            return render_value("{{ " + expression + " }}", names)
        except HisautoError:
            return None

    def register(self, name: str, host: str | None, values: Mapping[str, Any], *, at: str, source: str) -> None:
        with self.mutex:
            known = self.registered.setdefault(name, Registered(source, at))
            known.at, known.source = at, source
            known.by_host[host or "node"] = values

    def before_change(self, step: Step) -> None:
        """Just before the first change: hosts and guards again. Before a point of no return: every ``never``."""
        with self.first_change:  # a lock of its own: the looks under it run in threads that want the other
            # Nothing may keep a run from going back, or from what is done at every end.
            if not (self._before_change_done or self.changed() or self.journal.recall("verdict")):
                self.guarding.before_change()
            self._before_change_done = True
        if step.irreversible is not None:
            for n, never in enumerate(self.plan.runbook.never, 1):
                seen = self.looker(self.scope()).once(never)
                name = never.name or f"never {n}"
                if seen.truth is not Truth.false:
                    word = "is so" if seen.truth is Truth.true else "cannot be told"
                    raise Forbidden(f"never:{n}", f"'{name}' must never be, and it {word}: {seen.why or 'seen'}")
        self.check_cancel()

    def changed(self) -> bool:
        """Whether this run has begun anything that can change something."""
        return any(touched(a) for a in self.journal.attempts())

    def barred(self) -> bool:
        """Whether the point of no return is behind us."""
        return any(a.intent.get("irreversible") and touched(a) for a in self.journal.attempts())

    def latest(self, path: str) -> int:
        """The number of the newest attempt at a path; 1 when there is none."""
        return max((a.n for a in self.journal.attempts() if a.path == path), default=1)

    def again(self, attempt: str) -> bool:
        """Whether a person said to try once more what failed, or went back because of that."""
        return any(attempt == said["subject"] or attempt in said["undone"] for said in self._agains())

    def rounds(self, subject: str) -> int:
        """How often a person said so of this."""
        return sum(said["subject"] == subject for said in self._agains())

    def _agains(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (said := self.journal.recall(f"again:{len(found)}")) is not None:
            found.append(said)
        return found

    def rollback(self, prefix: str) -> None:
        """Undo all that is owed of a unit, or of the whole run ('')."""
        with self.mutex:
            self._undoing += 1
        try:
            Rollback(self).run(prefix)
        finally:
            with self.mutex:
                self._undoing -= 1

    def left(self, end: RunState) -> list[dict[str, Any]]:
        """What is left to do by hand: undos that were owed and are not done."""
        return Rollback(self).left(unstarted=end is RunState.rollback_failed)

    def output(
        self, attempt: Attempt, step: Step, secrets: tuple[str, ...]
    ) -> Callable[[Literal["out", "err"], bytes], None] | None:
        if step.no_log:
            return None
        return lambda stream, data: self.journal.output(
            attempt.id, stream, mask(data.decode(errors="replace"), secrets)
        )

    def cancelled(self) -> bool:
        """Whether somebody who may has cancelled the run. Looks at the database at most every ``CANCEL_EVERY`` s."""
        if self._cancelled:
            return not self.rolling_back
        now = self.clock.monotonic()
        if now - self._asked < CANCEL_EVERY:
            return False
        self._asked = now
        with self.mutex:
            self._cancelled = bool(self.decisions.cancels())
        return self._cancelled and not self.rolling_back

    @property
    def rolling_back(self) -> bool:
        """A cancel doesn't stop a rollback, nor what is done at every end."""
        return self.journal.recall("verdict") is not None or self._undoing > 0

    _undoing = 0

    def check_cancel(self) -> None:
        self._asked = -math.inf
        if self.cancelled():
            by = ", ".join(d.person for d in self.decisions.cancels())
            raise Cancel(RunState.cancelled, f"cancelled by {by}")

    def _move(self, state: RunState) -> None:
        if self.journal.view().state is not state:
            self.journal.move(state)

    def _forget(self, host: str | None) -> None:
        try:
            self.world.session(host).forget(self.journal.epoch)
        except HisautoError:
            return  # best effort: receipts age out on the host


def touched(attempt: Attempt) -> bool:
    """Whether it may have changed something: it began, and not only to look."""
    return (
        attempt.state not in (AttemptState.skipped, AttemptState.already)
        and not attempt.intent.get("look")
        and not attempt.result.get("never_started")
        and attempt.intent.get("sent", True)
        and not attempt.path.startswith("always.")
    )
