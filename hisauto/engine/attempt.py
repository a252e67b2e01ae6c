"""One step at one place: look, journal the intent, act under a receipt, find out what became of it, journal that.

It may be entered at any point of its own history: everything it needs is in the journal and on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hisauto.errors import Broken, HisautoError, Superseded, Unreachable
from hisauto.model.action import Observation
from hisauto.model.run import Attempt, AttemptState
from hisauto.model.transport import Completed, Fate, Lost, Receipt, Script
from hisauto.plan.look import Looker, Seen, call_of, fill, judge, valid
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Call, Probe, Step
from hisauto.runbook.expressions import Truth, names, render_value

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

WITHIN = 30.0
"""Seconds for ``done_when`` to come true where the step doesn't say."""
ASK_AGAIN = 0.3
"""Seconds between two tries to reach a host that went away in mid-step."""
UNINTERRUPTED = 7 * 24 * 3600.0
"""``interrupt: never`` is not ended by a time-out either; a receipt's worker wants a number all the same."""


Fields = Mapping[str, Any]
"""An action's fields, rendered."""


@dataclass(frozen=True)
class Verdict:
    """What is known of an attempt after its end."""

    state: AttemptState
    why: str = ""
    values: Mapping[str, Any] | None = None
    never_started: bool = False
    unreachable: bool = False
    """Because the host could not be reached."""

    def result(self) -> dict[str, Any]:
        """JSON for the journal. ``outcome`` stays when an undo changes the state later."""
        return {
            "outcome": self.state.value,
            "why": self.why,
            "values": dict(self.values or {}),
            "never_started": self.never_started,
            "unreachable": self.unreachable,
        }


class Attempter:
    """Takes attempts of steps, for one drive of one run."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal
        self.clock = drive.clock

    # ---------------------------------------------------------------- before
    def begin(
        self, step: Step, path: str, n: int, scope: Scope, here: str | None, rendered: Fields | None = None
    ) -> Attempt:
        """Look whether it is needed, journal the intent. Returns a ``started`` attempt, or one that is settled.

        ``rendered``: the action's fields where they are fixed already (an undo's): data is never evaluated twice.
        """
        looker = self.drive.looker(scope)
        done = step.done_when
        uses_before = done is not None and done.expect is not None and "before" in names(done.expect)
        if done is not None and not uses_before and step.unreachable is None:
            seen = self._done_once(step, looker, scope, here)
            if seen.truth is Truth.true:
                return self._record(
                    step, path, n, here, AttemptState.already, Verdict(AttemptState.already, values=_values(seen))
                )
        self.drive.before_change(step)
        scope = self.drive.informed(scope)  # the guards may have been taken anew
        try:
            intent = self._intent(step, path, n, scope, here, looker, uses_before, rendered)
        except Unreachable as e:
            if step.unreachable is None:
                verdict = Verdict(AttemptState.failed, f"never started: {e}", never_started=True, unreachable=True)
                return self._record(step, path, n, here, AttemptState.failed, verdict)
            unsent = {"sent": False, "unreachable": str(e)}
            intent = self._kept(self._bare_intent(step, path, scope, here, rendered) | unsent)
        except (Superseded, Broken):
            raise
        except HisautoError as e:
            verdict = Verdict(AttemptState.failed, f"never started: {e}", never_started=True)
            return self._record(step, path, n, here, AttemptState.failed, verdict)
        return self.journal.record(path, n, AttemptState.started, name=step.name, host=here, intent=intent)

    def _bare_intent(
        self, step: Step, path: str, scope: Scope, here: str | None, rendered: Fields | None
    ) -> dict[str, Any]:
        intent: dict[str, Any] = {
            **self._work(step, scope, here, rendered),
            "unit": scope.host,
            "batch": scope.batch,
            "irreversible": step.irreversible,
            "sent": True,
        }
        if step.undo is not None:
            undo = step.undo
            hosts: list[str | None] = [here]
            if undo.hosts is not None:
                hosts = list(self.drive.looker(scope).targets(Probe(hosts=undo.hosts)))
            filled = fill(undo.action, scope, here)
            intent["undo"] = {"action": {"kind": filled.kind, "fields": filled.fields}, "hosts": hosts}
        return intent

    def _work(self, step: Step, scope: Scope, here: str | None, rendered: Fields | None) -> dict[str, Any]:
        if step.manual is not None:
            return {"manual": render_value(step.manual.model_dump(), scope.at(here))}
        assert step.action is not None
        fields = rendered if rendered is not None else self._fields(step, scope, here)
        return {"action": {"kind": step.action.kind, "fields": fields}}

    def _fields(self, step: Step, scope: Scope, here: str | None) -> dict[str, Any]:
        return fill(call_of(step), scope, here).fields

    def _kept(self, intent: dict[str, Any]) -> dict[str, Any]:
        """The intent as it may be kept. What is masked can't be run: whoever finds it renders it anew from the plan."""
        masked = self.drive.world.secrets.redactor.value(intent)
        return {**masked, "masked": True} if masked != intent else intent

    def _intent(
        self, step: Step, path: str, n: int, scope: Scope, here: str | None, looker: Looker, uses_before: bool,
        rendered: Fields | None,
    ) -> dict[str, Any]:  # fmt: skip
        intent = self._bare_intent(step, path, scope, here, rendered)
        if uses_before:
            assert step.done_when is not None
            at = looker.within(scope.standing(here))
            places = at.targets(step.done_when)
            if len(places) != 1:
                raise HisautoError(f"'before' is one place's, and done_when looks at {len(places)}")
            before = at.observe(step.done_when, places[0])
            if not before.known:
                raise HisautoError(f"how it is before the step cannot be told: {before.why}")
            intent["before"] = dict(before.values)
        if step.manual is not None:
            return intent
        where, script = self._script(step, f"{path}#{n}", scope, here, intent, rendered)
        intent["where"] = where
        intent["place"] = scope.world.session(where).place(script.become)
        return self._kept(intent)

    def _script(
        self, step: Step, attempt: str, scope: Scope, here: str | None, intent: Fields, rendered: Fields | None
    ) -> tuple[str | None, Script]:
        fields = intent["action"]["fields"]
        if intent.get("masked"):
            fields = rendered if rendered is not None else self._fields(step, scope, here)
        timeout = UNINTERRUPTED if step.interrupt == "never" else step.timeout
        return self.drive.looker(scope).concrete(
            Call(kind=intent["action"]["kind"], fields=dict(fields)), here, purpose="change", timeout=timeout,
            become=step.become, env=step.env, attempt=attempt,
        )  # fmt: skip

    # ---------------------------------------------------------------- after
    def finish(
        self,
        step: Step,
        attempt: Attempt,
        scope: Scope,
        *,
        fresh: bool,
        rendered: Fields | None = None,
        patience: float | None = None,
    ) -> Attempt:
        """Act (when ``fresh``) or ask the host what became of it, and settle the attempt.

        ``patience``: seconds to go on trying to reach the host; None: the step's ``within``.
        """
        here = attempt.host
        if not attempt.intent.get("sent", True):
            verdict = self._unsent(step, attempt, scope, attempt.intent["unreachable"])
        else:
            where, script = self._script(step, attempt.id, scope, here, attempt.intent, rendered)
            patience = self.within(step) if patience is None else patience
            receipt, why = self._receipt(step, attempt, scope, where, script, fresh, patience)
            verdict = self._judge(step, attempt, scope, receipt, why)
        if step.no_log and verdict.values:
            verdict = Verdict(verdict.state, "" if verdict.state is AttemptState.done else "not shown: no_log")
        return self.journal.record(attempt.path, attempt.n, verdict.state, result=verdict.result())

    def _receipt(
        self,
        step: Step,
        attempt: Attempt,
        scope: Scope,
        where: str | None,
        script: Script,
        fresh: bool,
        patience: float,
    ) -> tuple[Receipt | None, str]:
        """Start it at most once and wait for its end. None: the host can't be asked; why says so.

        ``Fate.none``: nothing was ever sent to it.
        """
        place, become = attempt.intent.get("place"), script.become
        session = scope.world.session(where)
        cancelled = None if step.interrupt == "never" else self.drive.cancelled
        on_output = self.drive.output(attempt, step)
        act, sent, deadline = fresh, not fresh, None
        while True:
            try:
                if act:
                    receipt = session.act(attempt.id, self.journal.epoch, script, place, on_output=on_output,
                                          cancelled=cancelled)  # fmt: skip
                else:
                    receipt = session.settle(attempt.id, self.journal.epoch, place, become=become, wait=script.timeout,
                                             on_output=on_output, cancelled=cancelled)  # fmt: skip
                if receipt.fate is Fate.refused:
                    raise Superseded()
                if receipt.fate is Fate.none:
                    act = True
                    continue
                if receipt.fate is Fate.running:
                    if cancelled is not None and cancelled():
                        receipt = session.settle(attempt.id, self.journal.epoch, place, become=become, kill=True)
                        if receipt.fate is not Fate.running:
                            return receipt, receipt.why
                    act, deadline = False, None
                    continue
                return receipt, receipt.why
            except Unreachable as e:
                # Lost: it may be at work. Not even reached: nothing was sent this time, and asking again is harmless.
                if place is None and isinstance(e, Lost):
                    return None, str(e)
                act, sent = act and not isinstance(e, Lost), sent or isinstance(e, Lost)
                deadline = deadline or self.clock.monotonic() + patience
                if self.clock.monotonic() >= deadline or (cancelled is not None and cancelled()):
                    return (None if sent else Receipt(Fate.none, why=str(e))), str(e)
                self.clock.sleep(ASK_AGAIN)

    def _judge(self, step: Step, attempt: Attempt, scope: Scope, receipt: Receipt | None, why: str) -> Verdict:
        if receipt is None:
            verdict = self.by_effect(step, attempt, scope, f"its end is not known: {why}", ended=False)
            return replace(verdict, unreachable=True)
        if receipt.fate is Fate.none:
            return self._unsent(step, attempt, scope, why)
        if receipt.fate is Fate.no_space:
            return Verdict(AttemptState.failed, f"never started: {why or 'no space on the host'}", never_started=True)
        if receipt.fate is not Fate.finished or receipt.completed is None:
            return self.by_effect(
                step, attempt, scope, f"its end is not known: {receipt.fate} {why}".strip(), ended=False
            )
        done = receipt.completed
        if done.how != "exit":
            return self.by_effect(step, attempt, scope, f"ended by {done.how}", ended=True, values=_streams(done))
        if not receipt.same_boot:
            return self.by_effect(step, attempt, scope, f"exit {done.rc}, before the host was restarted", ended=True)
        return self._by_answer(step, attempt, scope, done)

    def _unsent(self, step: Step, attempt: Attempt, scope: Scope, why: str) -> Verdict:
        """Nothing of ours can come any more; with ``unreachable: go_on`` it may be so all the same."""
        if step.unreachable is not None:
            verdict = self.by_effect(step, attempt, scope, f"not sent: {why}", ended=True)
            if verdict.state is AttemptState.done:
                return replace(verdict, never_started=True)
            why = verdict.why
        return Verdict(AttemptState.failed, f"never started: {why}", never_started=True, unreachable=True)

    def _by_answer(self, step: Step, attempt: Attempt, scope: Scope, done: Completed) -> Verdict:
        """It ran to its end: its own answer first, then the effect."""
        assert step.action is not None
        action = scope.world.actions[step.action.kind]
        fields = valid(action, Call.model_validate(attempt.intent["action"]))
        observation: Observation = action.read(fields, done, "change")
        names_at = {**scope.at(attempt.host), "before": attempt.intent.get("before")}
        truth, why = judge(observation, step.expect or action.default_expect, names_at)
        values = dict(observation.values)
        if truth is Truth.unknown:
            return self.by_effect(step, attempt, scope, why, ended=False, values=values)
        if truth is Truth.false:
            if step.expect is None and step.done_when is not None:
                seen = self._done_once(
                    step, self.drive.looker(scope), scope, attempt.host, attempt.intent.get("before")
                )
                if seen.truth is Truth.true:
                    return Verdict(AttemptState.done, f"{why}; yet done_when holds", values)
            return Verdict(AttemptState.failed, why, values)
        if step.done_when is None:
            return Verdict(AttemptState.done, "", values)
        return self.by_effect(step, attempt, scope, "", ended=True, values=values)

    def by_effect(
        self,
        step: Step,
        attempt: Attempt,
        scope: Scope,
        why: str,
        *,
        ended: bool,
        values: Mapping[str, Any] | None = None,
    ) -> Verdict:
        """``done_when`` decides; ``ended`` says whether the action can still be at work."""
        if step.done_when is None:
            return Verdict(AttemptState.in_doubt, f"{why}; there is no done_when to look at", values)
        looker = self.drive.looker(self._done_scope(scope, attempt.host, attempt.intent.get("before")))
        seen = looker.until(self._done_probe(step), within=self.within(step), holds=step.done_when.holds)
        if seen.truth is Truth.true:
            return Verdict(AttemptState.done, why, values)
        said = f"done_when {'does not hold' if seen.truth is Truth.false else 'cannot be told'}: {seen.why}"
        whole = f"{why}; {said}" if why else said
        if seen.truth is Truth.false and ended and step.irreversible is None:
            return Verdict(AttemptState.failed, whole, values)
        return Verdict(AttemptState.in_doubt, whole, values)

    # ---------------------------------------------------------------- done_when
    def within(self, step: Step) -> float:
        own = step.done_when.within if step.done_when is not None else None
        return own if own is not None else step.within if step.within is not None else WITHIN

    def _done_probe(self, step: Step) -> Probe:
        assert step.done_when is not None
        return step.done_when

    def _done_scope(self, scope: Scope, here: str | None, before: Any = None) -> Scope:
        """``done_when`` looks where the step worked, unless it has hosts of its own; ``host`` stays the unit's."""
        return scope.standing(here).plus(before=before) if before is not None else scope.standing(here)

    def _done_once(self, step: Step, looker: Looker, scope: Scope, here: str | None, before: Any = None) -> Seen:
        """One look, and if it holds, for as long as it has to hold."""
        probe = self._done_probe(step)
        at = looker.within(self._done_scope(scope, here, before))
        return at.until(probe, within=0.0, holds=probe.holds)

    def _record(
        self, step: Step, path: str, n: int, here: str | None, state: AttemptState, verdict: Verdict
    ) -> Attempt:
        return self.journal.record(path, n, state, name=step.name, host=here, result=verdict.result())


def _values(seen: Seen) -> dict[str, Any]:
    return dict(seen.hosts[0].observation.values) if len(seen.hosts) == 1 else seen.values()


def _streams(done: Completed) -> dict[str, Any]:
    return {
        "rc": done.rc,
        "stdout": done.out.decode(errors="replace").rstrip("\n"),
        "stderr": done.err.decode(errors="replace").rstrip("\n"),
    }
