"""One step in its unit: a look that polls, or attempt after attempt until what it changes is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hisauto.engine.attempt import Attempter, Verdict
from hisauto.engine.known import joint
from hisauto.engine.outcome import Failure, Waiting
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.plan.look import Seen, settled
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Probe, Step
from hisauto.runbook.expressions import Truth

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

UNDONE = frozenset({AttemptState.undone, AttemptState.undo_failed})
AGAIN_BY_ITSELF = 2
"""How often an ``idempotent`` step whose end isn't known is run again before a person is asked."""


class Acting:
    """Takes single steps for one drive."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal
        self.attempter = Attempter(drive)

    def look(self, step: Step, path: str, scope: Scope) -> None:
        """A step that only looks: polls until it is so. With ``exactly`` or ``at_least``: at all its hosts together."""
        n = self.drive.latest(path)
        known = self.journal.attempt(path, n)
        if known is not None and known.state is AttemptState.failed and self.drive.again(known.id):
            n, known = n + 1, None
        if known is None:
            known = self.journal.record(path, n, AttemptState.started, name=step.name, host=scope.here,
                                        intent={"look": True})  # fmt: skip
        if known.state is AttemptState.started:
            together = joint(step)
            probe = Probe(action=step.action, hosts=step.hosts if together else None, expect=step.expect,
                          timeout=min(step.timeout, 30.0), exactly=step.exactly, at_least=step.at_least,
                          unreachable=step.unreachable, become=step.become, env=step.env)  # fmt: skip
            seen = self.drive.looker(scope).until(probe, within=step.within or 0.0, holds=step.holds)
            self.drive.check_cancel()
            state = AttemptState.done if seen.truth is Truth.true else AttemptState.failed
            values = _by_host(seen) if together else _values(seen)
            known = self.journal.record(path, n, state, result=Verdict(state, seen.why, values).result())
        self.drive.known.settled(step, known, scope)
        if known.result["outcome"] != "done":
            raise Failure(path, f"{step.name}: {known.result['why']}", attempt=known.id, policy=step.on_failure)

    def act(self, step: Step, path: str, scope: Scope) -> None:
        """A step that can change something: attempt after attempt until it is settled."""
        step = settled(step, scope.world)
        n = self.drive.latest(path)
        while True:
            attempt = self.journal.attempt(path, n)
            fresh = attempt is None
            if attempt is None:
                attempt = self.attempter.begin(step, path, n, scope, scope.here)
            if attempt.state is AttemptState.started:
                attempt = self.attempter.finish(step, attempt, scope, fresh=fresh)
            if attempt.state in UNDONE and self.drive.again(attempt.id):
                n += 1
                continue
            outcome = attempt.result["outcome"]
            if outcome in ("done", "already", "skipped"):
                self.drive.known.settled(step, attempt, scope)
                return
            self.drive.check_cancel()
            if outcome == "failed":
                if not self._another(step, attempt):
                    why = f"{step.name}: {attempt.result['why']}"
                    raise Failure(path, why, attempt=attempt.id, policy=step.on_failure)
            elif not self.doubt(step, attempt):
                continue  # decided: read it again
            n += 1

    def _another(self, step: Step, attempt: Attempt) -> bool:
        """Whether a failed attempt gets another one: a retry, or a person's word."""
        if self.drive.again(attempt.id):
            return True
        if step.retries is None or attempt.n > step.retries.times or step.irreversible is not None:
            return False
        self.drive.pause(step.retries.wait)
        return True

    def doubt(self, step: Step, attempt: Attempt) -> bool:
        """Nobody can tell: run it again if that is harmless, else ask. True: again; False: it is settled now."""
        if step.idempotent and attempt.n <= AGAIN_BY_ITSELF:
            return True
        question = f"doubt:{attempt.id}"
        decided = self.drive.decisions.one(question, ("done", "again", "stop"))
        if decided is None:
            raise Waiting(
                RunState.in_doubt,
                {"kind": "in_doubt", "id": question, "step": attempt.id, "name": step.name, "host": attempt.host,
                 "why": attempt.result["why"], "answers": ["done", "again", "stop"]},
            )  # fmt: skip
        if decided.answer == "again":
            return True
        if decided.answer == "done":
            result = {**attempt.result, "outcome": "done", "decided_by": decided.person}
            self.journal.record(attempt.path, attempt.n, AttemptState.done, result=result)
            return False
        failure = Failure(attempt.path, f"{step.name}: {attempt.result['why']}; {decided.person} decided: stop",
                          policy="stop")  # fmt: skip
        failure.final = True
        raise failure


def _by_host(seen: Seen) -> dict[str, Any]:
    """What each host answered."""
    return {"hosts": {h.host or "node": dict(h.observation.values) for h in seen.hosts}}


def _values(seen: Seen) -> dict[str, Any]:
    """What a look registers: the one host's values, or all of them."""
    if len(seen.hosts) == 1:
        return dict(seen.hosts[0].observation.values)
    return _by_host(seen)
