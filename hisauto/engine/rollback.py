"""The way back: what this run started is undone in reverse, and what can't be is listed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hisauto.clock import stamp
from hisauto.engine.attempt import Attempter
from hisauto.errors import HisautoError, Superseded, Unreachable
from hisauto.model.run import Attempt, AttemptState
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Call, Step, Undo
from hisauto.runbook.expressions import render_value

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

OWED = frozenset({AttemptState.done, AttemptState.failed, AttemptState.in_doubt})
TRY_AGAIN = 2.0
"""Seconds between two tries to undo on a host that can't be reached."""


class Rollback:
    """Undoes for one drive: a unit (by its path), or the whole run (prefix '')."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal

    def owed(self, prefix: str) -> list[Attempt]:
        """Attempts of this run whose undo is owed, last unit first, last step first. One a path: the newest."""
        newest: dict[str, Attempt] = {}
        for a in self.journal.attempts():
            begun = a.intent.get("sent", True) and not a.result.get("never_started")
            inside = a.path == prefix or (a.path.startswith(prefix) and (not prefix or a.path[len(prefix)] in ".["))
            if a.state in OWED and a.intent.get("undo") and begun and inside:
                newest[a.path] = a
        order = {a.path: a.seq for a in self.journal.attempts() if a.n == 1}
        return sorted(newest.values(), key=lambda a: (_steps(a.path), order.get(a.path, a.seq)), reverse=True)

    def run(self, prefix: str) -> list[str]:
        """Undo all that is owed. Returns the ids of what could not be undone."""
        self.drive._undoing += 1
        try:
            begun = self.journal.note(f"rollback:{prefix}", {"at": stamp(self.drive.clock.now())}, kind="rollback")
            end = datetime.fromisoformat(begun["at"]).timestamp() + self.drive.plan.runbook.rollback_within
            left = []
            for attempt in self.owed(prefix):
                if self._stopped(datetime.fromisoformat(begun["at"])):
                    self._settle(attempt, AttemptState.undo_failed, "two people stopped the rollback")
                elif not self._undo(attempt, end):
                    left.append(attempt.id)
            return left
        finally:
            self.drive._undoing -= 1

    def left(self) -> list[dict[str, Any]]:
        """What is left to do by hand."""
        return [
            {"step": a.id, "name": a.name, "host": a.host, "undo": a.intent["undo"]["action"], "why": a.result["undo"]}
            for a in self.journal.attempts()
            if a.state is AttemptState.undo_failed
        ]

    def _stopped(self, since: datetime) -> bool:
        return len({d.person for d in self.drive.decisions.cancels() if d.at > since}) >= 2

    def _undo(self, attempt: Attempt, end: float) -> bool:
        undo = self._document(attempt)
        why = ""
        for host in attempt.intent["undo"]["hosts"]:
            done, said = self._undo_at(attempt, undo, host, end)
            if not done:
                why = "; ".join(x for x in (why, said) if x)
        self._settle(attempt, AttemptState.undo_failed if why else AttemptState.undone, why)
        return not why

    def _settle(self, attempt: Attempt, state: AttemptState, why: str) -> None:
        self.journal.record(attempt.path, attempt.n, state, result={**attempt.result, "undo": why})

    def _document(self, attempt: Attempt) -> Undo:
        step = find_step(self.drive.plan.runbook.steps, attempt.path)
        assert step.undo is not None
        return step.undo

    def _undo_at(self, attempt: Attempt, undo: Undo, host: str | None, end: float) -> tuple[bool, str]:
        """Look first, then run it. Tries again while the host can't be reached and there is time."""
        action = attempt.intent["undo"]["action"]
        step = Step(
            name=f"undo: {attempt.name}",
            action=Call(kind=action["kind"], fields=action["fields"]),
            done_when=undo.done_when,
            within=undo.within,
            timeout=undo.timeout,
            become=undo.become,
            env=undo.env,
            idempotent=undo.idempotent,
        )
        path = f"{attempt.path}!undo" + (f"[{host}]" if host != attempt.host else "")
        scope = self.drive.scope().unit(attempt.intent.get("unit"), attempt.intent.get("batch", 1)).standing(host)
        fields = action["fields"]
        if attempt.intent.get("masked"):
            fields = render_value(undo.action.fields, scope.at(attempt.host))
        blind = attempt.state is not AttemptState.done and undo.done_when is None and not undo.idempotent
        while True:
            done, why = (False, "") if blind else self._try(step, path, scope, fields)
            if blind:
                return False, "whether there is anything to undo cannot be told, and the undo does not look"
            if done:
                return True, ""
            if not why.startswith("unreachable") or self.drive.clock.now().timestamp() >= end:
                return False, why
            self.drive.clock.sleep(TRY_AGAIN)

    def _try(self, step: Step, path: str, scope: Scope, fields: dict[str, Any]) -> tuple[bool, str]:
        attempter = Attempter(self.drive)
        n = self.drive.latest(path)
        known = self.journal.attempt(path, n)
        if known is not None and known.state is not AttemptState.started:
            if known.state in (AttemptState.done, AttemptState.already):
                return True, ""
            n, known = n + 1, None
        try:
            fresh = known is None
            attempt = known or attempter.begin(step, path, n, scope, scope.here, fields)
            if attempt.state is AttemptState.started:
                attempt = attempter.finish(step, attempt, scope, fresh=fresh, rendered=fields)
        except Superseded:
            raise
        except Unreachable as e:
            return False, f"unreachable: {e}"
        except HisautoError as e:
            return False, str(e)
        if attempt.state in (AttemptState.done, AttemptState.already):
            return True, ""
        why = str(attempt.result["why"])
        return False, f"unreachable: {why}" if attempt.result.get("never_started") else why


def find_step(steps: tuple[Step, ...], path: str) -> Step:
    """The step of the plan that a path names: ``4[app07].2`` → the second step in the fourth."""
    inner = steps
    step: Step | None = None
    for number in _steps(path):
        step = inner[number - 1]
        inner = step.block or ()
    assert step is not None
    return step


def _steps(path: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.sub(r"\[[^]]*\]", "", path).split("."))
