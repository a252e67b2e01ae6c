"""The way back: what this run started is undone in reverse, and what can't be is listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hisauto.clock import stamp
from hisauto.engine.attempt import Attempter
from hisauto.engine.outcome import UNFIT
from hisauto.model.run import Attempt, AttemptState
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Call, Step, Undo
from hisauto.runbook.expressions import render_value

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

DONE = frozenset({AttemptState.done, AttemptState.already})
OWED = frozenset({AttemptState.done, AttemptState.failed, AttemptState.in_doubt})
TRY_AGAIN = 2.0
"""Seconds between two tries to undo on a host that can't be reached."""


class Rollback:
    """Undoes for one drive: a unit (by its path), or the whole run (prefix '')."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal

    def owed(self, prefix: str) -> list[Attempt]:
        """Attempts whose undo is owed: the last unit first, and in it the last step."""
        found = [a for a in self._newest() if a.state in OWED and inside(a.path, prefix)]
        return sorted(found, key=self._order(), reverse=True)

    def run(self, prefix: str) -> None:
        """Undo all that is owed."""
        # A unit that was undone may have been run again: that is another rollback.
        last = max((a.seq for a in self.journal.attempts() if inside(a.path, prefix)), default=0)
        now = stamp(self.drive.clock.now())
        begun = datetime.fromisoformat(
            self.journal.note(f"rollback:{prefix}:{last}", {"at": now}, kind="rollback")["at"]
        )
        end = begun.timestamp() + self.drive.plan.runbook.rollback_within
        for attempt in self.owed(prefix):
            if self._stopped(begun):
                self._settle(attempt, AttemptState.undo_failed, "two people stopped the rollback")
            else:
                self._undo(attempt, end)

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

    def _newest(self) -> list[Attempt]:
        """Of each path the newest attempt that began and has an undo. What is done at every end is never undone."""
        newest: dict[str, Attempt] = {}
        for a in self.journal.attempts():
            begun = a.intent.get("sent", True) and not a.result.get("never_started")
            if begun and a.intent.get("undo") and step_at(self.drive.plan.runbook.steps, a.path) is not None:
                newest[a.path] = a
        return list(newest.values())

    def _order(self) -> Callable[[Attempt], list[tuple[int, int]]]:
        """By step, and among the units of one by which began first, from the outside in."""
        first: dict[str, int] = {}
        for a in self.journal.attempts():
            for prefix, _ in _parts(a.path):
                first.setdefault(prefix, a.seq)
        return lambda a: [(number, first[prefix]) for prefix, number in _parts(a.path)]

    def _stopped(self, since: datetime) -> bool:
        return len({d.person for d in self.drive.decisions.cancels() if d.at > since}) >= 2

    def _undo(self, attempt: Attempt, end: float) -> None:
        undo = self._document(attempt)
        whys = []
        for host in attempt.intent["undo"]["hosts"]:
            done, said = self._undo_at(attempt, undo, host, end)
            if not done:
                whys.append(said)
        self._settle(attempt, AttemptState.undo_failed if whys else AttemptState.undone, "; ".join(whys))

    def _settle(self, attempt: Attempt, state: AttemptState, why: str) -> None:
        self.journal.record(attempt.path, attempt.n, state, result={**attempt.result, "undo": why})

    def _document(self, attempt: Attempt) -> Undo:
        step = step_at(self.drive.plan.runbook.steps, attempt.path)
        assert step is not None
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
        path = (attempt.path if attempt.n == 1 else attempt.id) + "!undo"
        path += f"[{host}]" if host != attempt.host else ""
        scope = self.drive.scope().unit(attempt.intent.get("unit"), attempt.intent.get("batch", 1)).standing(host)
        fields = action["fields"]
        if attempt.intent.get("masked"):
            fields = render_value(undo.action.fields, scope.at(attempt.host))
        blind = attempt.state is not AttemptState.done and undo.done_when is None and not undo.idempotent
        if blind:
            return False, "whether there is anything to undo cannot be told, and the undo does not look"
        while True:
            try:
                tried = self._try(step, path, scope, fields, end)
            except UNFIT as e:
                return False, str(e)
            if tried.state in DONE:
                return True, ""
            why = str(tried.result["why"])
            again = tried.state is AttemptState.failed and tried.result["unreachable"]
            if not again or self.drive.clock.now().timestamp() >= end:
                return False, f"unreachable: {why}" if tried.result["unreachable"] else why
            self.drive.clock.sleep(TRY_AGAIN)

    def _try(self, step: Step, path: str, scope: Scope, fields: dict[str, Any], end: float) -> Attempt:
        """One attempt of the undo, or what an earlier drive left of it."""
        attempter = Attempter(self.drive)
        n = self.drive.latest(path)
        known = self.journal.attempt(path, n)
        if known is not None and known.state is not AttemptState.started:
            looks = step.idempotent or step.done_when is not None
            if not known.result.get("unreachable") or (known.state is AttemptState.in_doubt and not looks):
                return known
            n, known = n + 1, None
        attempt = known or attempter.begin(step, path, n, scope, scope.here, fields)
        if attempt.state is AttemptState.started:
            patience = max(0.0, end - self.drive.clock.now().timestamp())
            attempt = attempter.finish(step, attempt, scope, fresh=known is None, rendered=fields, patience=patience)
        return attempt


def step_at(steps: tuple[Step, ...], path: str) -> Step | None:
    """The step of the plan that a path names: ``4[app07].2`` → the second step in the fourth.

    None for what stands in no list of its: an undo, ``always``.
    """
    step: Step | None = None
    parts = _parts(path)
    if not parts or parts[-1][0] != path:
        return None
    for _, number in parts:
        step = steps[number - 1]
        steps = step.block or ()
    return step


def unit_of(path: str) -> str | None:
    """The host whose unit a path is in: ``4[app07].2[lb1]`` → ``app07``."""
    found = re.search(r"\[([^]]*)\]", path)
    return found[1] if found else None


def _parts(path: str) -> list[tuple[str, int]]:
    """Every step on the way to a path: its own path and its number."""
    return [(path[: m.end()], int(m[1])) for m in re.finditer(r"(?:^|(?<=[\]\d])\.)(\d+)(?:\[[^]]*\])?", path)]


def inside(path: str, prefix: str) -> bool:
    """Whether a step's path is that of a unit, or in it. Undos are in none."""
    return "!" not in path and path.startswith(prefix) and (not prefix or path[len(prefix) :][:1] in ("", ".", "["))
