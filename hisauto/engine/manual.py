"""What a person does: asked for, said with a signature, and looked at by ``done_when``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hisauto.approval.card import EVIDENCE, Card
from hisauto.engine.attempt import Verdict
from hisauto.engine.decisions import signed_message
from hisauto.engine.outcome import Failure, Waiting
from hisauto.model.run import Attempt, AttemptState, Decision, RunState
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Manual, Step

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

ANSWERS = ("done", "failed")


class ByHand:
    """Asks people for their work, for one drive."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal
        self.acting = drive.acting

    def ask(self, step: Step, path: str, scope: Scope) -> None:
        """Pass when it is done; else wait for somebody to say so, or fail."""
        n = self.drive.latest(path)
        while True:
            attempt = self.journal.attempt(path, n)
            if attempt is None:
                attempt = self.acting.attempter.begin(step, path, n, scope, scope.here)
            if attempt.state is AttemptState.started:
                attempt = self._settle(step, attempt, scope)
            outcome = attempt.result["outcome"]
            if outcome in ("done", "already"):
                self.drive.known.settled(step, attempt, scope)
                return
            self.drive.check_cancel()
            if outcome == "failed" and not self.drive.again(attempt.id):
                why = f"{step.name}: {attempt.result['why']}"
                failure = Failure(path, why, attempt=attempt.id, policy=step.on_failure)
                failure.final = attempt.result["values"].get("answer") == "failed"
                raise failure
            if outcome == "in_doubt" and not self.acting.doubt(step, attempt):
                continue  # decided: read it again
            n += 1

    def abandon(self, attempt: Attempt) -> None:
        """The run is cancelled: whether somebody has begun is not known."""
        verdict = Verdict(AttemptState.in_doubt, "cancelled before anybody said that it was done")
        self.journal.record(attempt.path, attempt.n, verdict.state, result=verdict.result())

    def _question(self, step: Step, attempt: Attempt) -> dict[str, Any]:
        done = step.done_when
        return {
            "kind": "manual", "id": f"manual:{attempt.id}", "step": attempt.id, "name": step.name, "host": attempt.host,
            **attempt.intent["manual"], "expects": (done.name or done.expect) if done is not None else None,
            "answers": list(ANSWERS),
        }  # fmt: skip

    def _said(self, step: Step, attempt: Attempt) -> tuple[Decision, str | None] | None:
        """The first sound word of a person of its role, and the evidence that was signed with it."""
        manual, people = step.manual, self.drive.decisions.people()
        assert manual is not None
        for row in sorted(self.drive.decisions.verified(f"manual:{attempt.id}"), key=lambda d: d.at):
            shown = evidence(row)
            if row.answer in ANSWERS and manual.by in people[row.person].roles and _enough(manual, row, shown):
                return row, shown
        return None

    def _settle(self, step: Step, attempt: Attempt, scope: Scope) -> Attempt:
        said = self._said(step, attempt)
        if said is None:
            raise Waiting(RunState.waiting, self._question(step, attempt))
        row, shown = said
        values = {"answer": row.answer, "by": row.person, "evidence": shown}
        word = ": ".join(filter(None, (f"{row.person} said {row.answer}", shown, row.reason)))
        if row.answer == "failed":
            verdict = Verdict(AttemptState.failed, word, values)
        elif step.done_when is None:
            verdict = Verdict(AttemptState.done, word, values)
        else:
            verdict = self.acting.attempter.by_effect(step, attempt, scope, word, ended=True, values=values)
        return self.journal.record(attempt.path, attempt.n, verdict.state, result=verdict.result())


def evidence(decision: Decision) -> str | None:
    """What a person showed for their word, as they signed it."""
    facts = Card.parse(signed_message(decision)).facts
    return next((str(fact.value) for fact in facts if fact.name == EVIDENCE), None)


def _enough(manual: Manual, decision: Decision, shown: str | None) -> bool:
    return decision.answer != "done" or manual.evidence is None or bool(shown)
