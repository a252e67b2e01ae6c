"""Gates: a card with what is known, and the people who have to agree."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hisauto.approval import rules
from hisauto.approval.card import Fact
from hisauto.clock import stamp
from hisauto.engine.decisions import signed_message
from hisauto.engine.outcome import Ended, Failure, Waiting
from hisauto.model.run import REVIEW, Decision, RunState
from hisauto.plan.look import telling
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Approve, Step
from hisauto.runbook.expressions import render

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive


class Gates:
    """Opens gates and waits at them, for one drive."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal

    def gate(self, step: Step, path: str, scope: Scope) -> None:
        """Pass when granted; else wait, or end by a no or by time.

        The signatures are verified by every drive anew: that an earlier one noted a grant is no proof of it.
        """
        assert step.approve is not None
        asked = self._asked(path)
        if self.journal.recall(f"gate.denied:{asked}") is not None:
            self._no(step, path, scope, "", RunState.rejected)
        card = self.journal.recall(f"gate:{asked}") or self._open(step.approve, asked, step.name, scope)
        verdict = self._verdict(asked, card)
        match verdict.state:
            case "granted":
                granted = {"by": list(verdict.by), "why": verdict.why, "broke_glass": verdict.broke_glass,
                           "answer": verdict.answer}  # fmt: skip
                if verdict.broke_glass is not None:
                    due = stamp(self.drive.clock.now() + timedelta(hours=24))
                    self.journal.note(REVIEW + asked, {"due": due, "people": 2, **granted}, kind="review.due")
                self.journal.note(f"gate.granted:{asked}", granted, kind="gate.granted")
                self._register(step, verdict, scope)
            case "denied":
                self._no(step, path, scope, f"{step.name}: {verdict.why}", RunState.rejected)
            case _:
                self._wait(step, path, scope, card, verdict)

    def restore(self, step: Step, path: str, scope: Scope) -> None:
        """Make the answer of a gate that was granted known again, as far as its signatures hold."""
        asked = self._asked(path)
        card = self.journal.recall(f"gate:{asked}")
        if card is not None and self.journal.recall(f"gate.granted:{asked}") is not None:
            verdict = self._verdict(asked, card)
            if verdict.state == "granted":
                self._register(step, verdict, scope)

    def _register(self, step: Step, verdict: rules.Verdict, scope: Scope) -> None:
        if step.register_ is not None:
            values = {"answer": verdict.answer, "by": list(verdict.by)}
            now = stamp(self.drive.clock.now())
            self.drive.known.add(scope, step.register_, values, at=now, source=step.name)

    def _asked(self, path: str) -> str:
        """The gate's path; with a number where a person said to ask again, since a no can't be taken back."""
        again = self.drive.rounds(path)
        return f"{path}#{again + 1}" if again else path

    def _open(self, approve: Approve, path: str, name: str, scope: Scope) -> dict[str, Any]:
        now = self.drive.clock.now()
        card = {
            "kind": "gate",
            "id": f"gate:{path}",
            "name": name,
            "question": render(approve.question, scope.at(scope.here)),
            "plan_digest": self.drive.plan.digest,
            "facts": [self._fact(f, scope) for f in approve.facts],
            "by": dict(approve.by),
            "choices": list(approve.choices),
            "break_glass": approve.break_glass,
            "opened_at": stamp(now),
            "deadline": stamp(now + timedelta(seconds=approve.within)),
            "otherwise": approve.otherwise,
        }
        opened: dict[str, Any] = self.journal.note(f"gate:{path}", card, kind="gate.opened")
        return opened

    def _fact(self, name: str, scope: Scope) -> dict[str, Any]:
        """A fact with its value, its source and when it was taken. Nothing is shown as known that isn't."""
        known = self.drive.known.get(scope, name)
        value = {}
        if known is not None:
            seen = known.seen_from(scope)
            told = {**seen.hosts, **{f"item {n}": values for n, values in enumerate(seen.items)}}
            value = {where: telling(values) for where, values in told.items() if values}
        fact = Fact(
            name=name,
            value=value or None,
            known=bool(value),
            source=known.source if known is not None else "nothing registered it",
            taken_at=known.at if known is not None else None,
        )
        return fact.model_dump(mode="json")

    def _verdict(self, path: str, card: dict[str, Any]) -> rules.Verdict:
        run = self.drive.run
        glass = run.incident if card["break_glass"] and run.level == 1 else None
        gate = rules.Gate(
            id=card["id"],
            run=run.id,
            plan_digest=self.drive.plan.digest,
            roles=card["by"],
            requester=run.requester,
            question=card["question"],
            facts=tuple(Fact.model_validate(f) for f in card["facts"]),
            choices=tuple(card.get("choices", ())),
            break_glass_incident=glass,
            opened_at=datetime.fromisoformat(card["opened_at"]),
        )
        rows = [row for row in self.journal.decisions(card["id"]) if not self._late(path, card, row)]
        given = [rules.Decision(signed_message(row), row.signature) for row in rows]
        verdict = rules.evaluate(gate, given, self.drive.world.people, self.drive.clock.now())
        for who, why in verdict.void:
            self.journal.note(f"refused:{card['id']}:{who}", why, kind="decision.refused")
        return verdict

    def _late(self, path: str, card: dict[str, Any], decision: Decision) -> bool:
        """Whether it was given when the gate was closed already, though no drive had looked at the clock by then."""
        closes = card["otherwise"] == "deny" and self.journal.recall(f"escalated:{path}") is None
        return closes and decision.at >= datetime.fromisoformat(card["deadline"]) and not self.drive.changed()

    def _wait(self, step: Step, path: str, scope: Scope, card: dict[str, Any], verdict: rules.Verdict) -> None:
        approve = step.approve
        assert approve is not None
        deadline: datetime | None = datetime.fromisoformat(card["deadline"])
        assert deadline is not None
        if self.drive.clock.now() >= deadline:
            if approve.otherwise == "deny" and not self.drive.changed():
                self._no(step, path, scope, f"{step.name}: nobody decided in time", RunState.expired)
            # Once something was changed, nothing is rolled back because somebody slept: it escalates and waits.
            now = stamp(self.drive.clock.now())
            self.journal.note(f"escalated:{self._asked(path)}", {"at": now}, kind="gate.escalated")
            deadline = None
        said = {"missing": dict(verdict.missing), "who": list(verdict.helpful), "why": verdict.why}
        raise Waiting(RunState.waiting, {**card, **said}, deadline)

    def _no(self, step: Step, path: str, scope: Scope, why: str, end: RunState) -> None:
        """Noted, since later it may look as if there had been time: once something was changed, gates wait."""
        noted = {"end": end.value, "why": why}
        noted = self.journal.note(f"gate.denied:{self._asked(path)}", noted, kind="gate.denied")
        if not scope.within_unit and not self.drive.changed():
            raise Ended(RunState(noted["end"]), noted["why"])
        failure = Failure(path, noted["why"], policy=step.on_failure)
        failure.final = True
        raise failure
