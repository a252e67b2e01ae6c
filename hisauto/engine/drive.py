"""Driving a run: a function of plan and journal. It can be stopped anywhere and started again anywhere."""

from __future__ import annotations

import codecs
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Literal

from hisauto.clock import Clock, stamp
from hisauto.engine.acting import UNDONE, Acting
from hisauto.engine.decisions import Decisions, as_signed
from hisauto.engine.gates import Gates
from hisauto.engine.guarding import Guarding
from hisauto.engine.known import Known
from hisauto.engine.manual import ByHand
from hisauto.engine.outcome import Ended, Failure, Forbidden, Waiting
from hisauto.engine.proof import lost, prove
from hisauto.engine.rollback import Rollback
from hisauto.engine.steps import Walker
from hisauto.engine.windows import Windowing
from hisauto.errors import HisautoError
from hisauto.model.journal import Journal
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.model.world import World
from hisauto.plan.look import FANOUT, Looker
from hisauto.plan.places import inside, place
from hisauto.plan.plan import Plan
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import Truth

CANCEL_EVERY = 0.1
"""Seconds between two looks at whether the run was cancelled, while something is at work."""
NAP = 1.0
"""Seconds of a longer pause after which it looks so, too."""


class Cancel(Ended):
    """A person said stop."""


class Drive:
    """One node at work on one run, under one epoch."""

    def __init__(self, journal: Journal, world: World, clock: Clock) -> None:
        self.journal, self.world, self.clock = journal, world, clock
        journal.redactor = world.secrets.redactor
        self.run = as_signed(journal.view(), journal.request())
        self.plan = Plan.from_json(journal.plan())
        self.decisions = Decisions(self)
        self.known = Known(self)
        self.acting = Acting(self)
        self.by_hand = ByHand(self)
        self.gates = Gates(self)
        self.guarding = Guarding(self)
        self.windows = Windowing(self)
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
            self.walker = Walker(self)
            self.known.restore()
            try:
                return self._through()
            except Waiting as w:
                if self.journal.park(w.state, w.question, w.wake_at, seen):
                    return None

    def _through(self) -> RunState:
        verdict = self.journal.recall("verdict")
        if verdict is None:
            verdict = self._body()
        else:
            self.guarding.secrets()  # as far as they can be had: the way back may need them, and output their masks
        end = RunState(verdict["end"])
        if verdict["rollback"] or end is RunState.rollback_failed:
            self._move(RunState.rolling_back)
        if verdict["rollback"]:
            self.rollback("")
            end = RunState.rollback_failed if self.left(end) else end
        if end is not RunState.refused:
            self._always(end)
        self.journal.end(end, self._summary(verdict, end))
        hosts = {None, *(a.host for a in self.journal.attempts())}
        with ThreadPoolExecutor(min(FANOUT, len(hosts))) as pool:
            list(pool.map(self._forget, hosts))
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
            self._settle()
            return self._conclude(RunState.cancelled, c.why, rollback=self.changed() and not self.barred())
        except Ended as e:
            if self.changed():  # side by side with the gate that said no: now that is a step that failed
                self.walker = Walker(self)
                return self._body()
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
                self.journal.note(f"again:{self.agains}", said, kind="again")
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
        self.guarding.with_secrets()
        self.guarding.under_lock()

    def _verify(self) -> None:
        self.check_cancel()  # it may have come during a last step that is not interrupted
        self._move(RunState.verifying)
        prove(self, self.plan.runbook, self.scope(), "verify")
        self.journal.note("verified", {"at": stamp(self.clock.now())}, kind="verified")

    def _settle(self) -> None:
        """What an earlier drive left at work is ended, or its end found out: a cancel may have come before its turn."""
        for attempt in self.journal.attempts():
            found = place(self.plan.runbook.steps, attempt.path)
            if attempt.state is AttemptState.started and found is not None and not attempt.intent.get("look"):
                if "manual" in attempt.intent:
                    self.by_hand.abandon(attempt)
                    continue
                scope = self.scope_at(attempt.path, attempt.intent["batch"]).standing(attempt.host)
                self.acting.attempter.finish(found.step, attempt, scope, fresh=False)

    def _always(self, end: RunState) -> None:
        """At every end but ``refused``; cannot change it. Also of the runbooks that are steps, as far as they began."""
        locked = self.journal.recall("locked") is not None
        for space, part in reversed(self.plan.parts.items()):
            if space and self.journal.recall(f"part:{space}") is None:
                continue
            scope = self.scope(space)
            scope = scope.plus(run={**scope.names["run"], "end": end.value})
            for i, step in enumerate(part.runbook.always, 1):
                path = f"always@{space}.{i}" if space else f"always.{i}"
                if not locked and self.looker(scope).changes(step):
                    why = f"{step.name}: not begun, for the run never held its locks"
                    self.journal.note(path, why, kind="always.failed")
                    continue
                try:
                    Walker(self).step(step, path, scope)
                except (Failure, Ended, Waiting) as e:
                    self.journal.note(path, f"{step.name}: {e}", kind="always.failed")

    def _summary(self, verdict: Mapping[str, Any], end: RunState) -> dict[str, Any]:
        objectives = self.plan.runbook.objectives
        verified = self.journal.recall("verified")
        rto = None
        if verified is not None:
            rto = (datetime.fromisoformat(verified["at"]) - self.run.reported_at).total_seconds()
        return {
            "why": verdict["why"],
            "rto": {"promised": objectives.rto, "measured": rto},
            "rpo": {"promised": objectives.rpo, "measured": lost(self)},
            "tolerated": verdict["tolerated"],
            "left": self.left(end),
        }

    # ---------------------------------------------------------------- what the walk asks for
    def scope(self, space: str = "") -> Scope:
        """The names that are visible now, outside of every unit. ``space``: of a runbook that is a step."""
        run = {"id": self.run.id, "incident": self.run.incident, "level": self.run.level,
               "requester": self.run.requester, "reason": self.run.reason, "end": None}  # fmt: skip
        return self.informed(Scope(self.world, self.plan.names(space, **run), space=space))

    def scope_at(self, path: str, batch: int = 1) -> Scope:
        """The names that are visible in a step's unit."""
        found = place(self.plan.runbook.steps, path)
        if found is None:
            return self.scope()
        scope = self.scope(found.space).unit(found.host, batch)
        for list_path, number in zip(found.lists, found.items, strict=True):
            items = self.journal.recall(f"items:{list_path}") or ()
            scope = scope.each(number, items[number], batch)
        return self.informed(scope)

    def looker(self, scope: Scope) -> Looker:
        """Eyes at a point of the run."""
        return Looker(self.informed(scope), self.clock, self.cancelled)

    def informed(self, scope: Scope) -> Scope:
        """The scope with all that is registered by now, as the unit sees it."""
        return scope.plus(**self.known.names(scope))

    def before_change(self, step: Step) -> None:
        """Just before the first change: hosts and guards again. Before a point of no return: every ``never``."""
        with self.first_change:  # a lock of its own: the looks under it run in threads that want the other
            # Nothing may keep a run from going back, or from what is done at every end.
            if not (self._before_change_done or self.changed() or self.journal.recall("verdict")):
                self.guarding.before_change()
            self._before_change_done = True
        if step.irreversible is not None:
            self._never()
        self.check_cancel()

    def _never(self) -> None:
        for space, part in self.plan.parts.items():
            for n, never in enumerate(part.runbook.never, 1):
                seen = self.looker(self.scope(space)).once(never)
                name = never.name or f"never {n}"
                if seen.truth is not Truth.false:
                    word = "is so" if seen.truth is Truth.true else "cannot be told"
                    raise Forbidden(f"never:{n}", f"'{name}' must never be, and it {word}: {seen.why or 'seen'}")

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

    def rounds_in(self, unit: str) -> int:
        """How often a person said so of anything in a unit."""
        return sum(inside(said["subject"].partition("#")[0], unit) for said in self._agains())

    @property
    def agains(self) -> int:
        """How often a person said so of anything in this run."""
        return len(self._agains())

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

    def output(self, attempt: Attempt, step: Step) -> Callable[[Literal["out", "err"], bytes], None] | None:
        if step.no_log:
            return None
        decode: dict[str, Callable[[bytes], str]]
        decode = defaultdict(lambda: codecs.getincrementaldecoder("utf-8")(errors="replace").decode)
        return lambda stream, data: self.journal.output(attempt.id, stream, decode[stream](data))

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

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is cancelled."""
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            self.clock.sleep(min(left, NAP))
            self.check_cancel()

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
        and not attempt.path.startswith("always")
    )
