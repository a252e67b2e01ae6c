"""Windows and freezes on the way: no batch begins once they have closed, unless a person says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hisauto.clock import stamp
from hisauto.engine.outcome import Failure, Waiting
from hisauto.model.run import RunState
from hisauto.model.world import Permission
from hisauto.plan.places import inside
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

ANSWERS = ("go_on", "rollback", "stop")


class Windowing:
    """Asks the site's calendar, for one drive."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive

    def now(self) -> Permission:
        """What it says at this moment."""
        book = self.drive.plan.runbook
        return self.drive.world.permission(book.kind, book.window, self.drive.clock.now())

    def batch(self, step: Step, path: str, scope: Scope, units: Sequence[str]) -> None:
        """Before a batch of a step's units begins. What is in a unit, or was begun by an earlier drive, is finished.

        Before the first change it is the guards who say no; what is undone, or done at every end, is never bound.
        """
        drive = self.drive
        if scope.within_unit or drive.rolling_back or not drive.changed():
            return
        if any(inside(attempt.path, unit) for attempt in drive.journal.attempts() for unit in units):
            return
        said = self.now()
        if not said.bound:
            return
        if not said.granted:
            self._ask(step, path, said, f"window:{drive.agains}")
        told = {"why": said.why, "granted": said.granted, "at": stamp(drive.clock.now())}
        drive.journal.note(f"window:{','.join(units)}", told, kind="window")

    def _ask(self, step: Step, path: str, said: Permission, question: str) -> None:
        """It opens by itself, or a person decides; ``go_on`` holds for the rest of the run."""
        decided = self.drive.decisions.one(question, ANSWERS)
        if decided is None:
            asked = {"kind": "window", "id": question, "step": path, "name": step.name, "why": said.why,
                     "answers": list(ANSWERS)}  # fmt: skip
            raise Waiting(RunState.waiting, asked, said.until)
        if decided.answer != "go_on":
            raise Failure(path, f"{step.name}: {said.why}; {decided.person} decided: {decided.answer}",
                          policy=decided.answer)  # fmt: skip
