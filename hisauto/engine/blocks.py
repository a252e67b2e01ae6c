"""A list of steps in its unit: looked at before and after, in rounds; in order, side by side, or way by way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hisauto.engine.outcome import Failure, Forbidden, Waiting
from hisauto.engine.proof import prove
from hisauto.plan.places import round_of, rounds, static
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import Truth

if TYPE_CHECKING:
    from hisauto.engine.steps import Walker


class Block:
    """One block in one unit, for one walker."""

    def __init__(self, walker: Walker, step: Step, path: str, scope: Scope) -> None:
        self.walker, self.step, self.path, self.scope = walker, step, path, scope
        self.drive, self.journal = walker.drive, walker.journal
        self.inner = scope if step.part is None else self.drive.scope(static(path))
        """The names of its list: a runbook has its own."""

    def run(self) -> None:
        """Round after round until one led there, or none is left."""
        if (part := self.step.part) is not None:
            begun = {"runbook": part.runbook.runbook, "version": part.runbook.version, "digest": part.digest}
            self.journal.note(f"part:{static(self.path)}", begun, kind="runbook")
        number = rounds(self.path, self.journal.recall)
        while True:
            branch = self.walker.fork()
            try:
                self._round(branch, round_of(self.path, number))
            except Forbidden:
                raise
            except Failure as f:
                if not self._another(number, f):
                    self.walker.join(branch)
                    raise
                number += 1
                self.journal.note(f"round:{round_of(self.path, number)}", {"why": f.why}, kind="round")
            else:
                self.walker.join(branch)
                return

    def _another(self, number: int, failure: Failure) -> bool:
        """Whether the list is run again: there are rounds left, or a person said so. After a person's no it is not."""
        if failure.final:
            return False
        if self.drive.rounds(round_of(self.path, number)) > 0:
            return True
        if self.step.retries is None or number > self.step.retries.times:
            return False
        self.drive.pause(self.step.retries.wait)
        return True

    def _round(self, walker: Walker, path: str) -> None:
        """Its list once. ``path`` has the round in it, and so has everything below."""
        step = self.step
        walker.check_failed(step, path)
        if step.done_when is not None:
            begun = self.journal.recall(f"block:{path}")
            if begun is None:
                begun = self.journal.note(f"block:{path}", {"already": self._holds(0.0)}, kind="block")
            if begun["already"]:
                return
        self._inside(walker, path)
        if step.part is not None:
            prove(self.drive, step.part.runbook, self.inner, f"verify:{path}")
        if step.done_when is not None and step.ways is None and self.journal.recall(f"block.done:{path}") is None:
            if not self._holds(self.drive.acting.attempter.within(step)):
                raise walker.failure(step, path, "done_when does not hold after its last step")
            self.journal.note(f"block.done:{path}", True, kind="block")

    def _inside(self, walker: Walker, path: str) -> None:
        step, prefix = self.step, f"{path}."
        if step.ways is not None:
            self._ways(walker, path)
        elif step.together is not None:
            failed = walker.side_by_side(
                [lambda branch, n=n, one=one: branch.step(one, f"{prefix}{n}", self.inner)  # type: ignore[misc]
                 for n, one in enumerate(step.together, 1)]
            )  # fmt: skip
            if failed:
                raise Failure.all(failed)
        else:
            walker.steps(step.block or (), prefix, self.inner)

    def _holds(self, within: float) -> bool:
        done = self.step.done_when
        assert done is not None
        seen = self.drive.looker(self.scope).until(done, within=within, holds=done.holds)
        return seen.truth is Truth.true

    def _ways(self, walker: Walker, path: str) -> None:
        """In order, until one's own ``done_when``, or else the block's, holds. One that leads nowhere is no failure."""
        tried: list[str] = []
        for i, way in enumerate(self.step.ways or (), 1):
            key = f"way:{path}.{i}"
            led = self.journal.recall(key)
            branch = walker.fork()
            if led is None or (led["led"] and not led["why"]):  # read again: who failed in it takes part in no more
                why = self._way(branch, way, f"{path}.{i}")
                led = led or self.journal.note(key, {"led": self._led(way, why), "why": why}, kind="way")
            if led["led"]:
                if not led["why"]:
                    walker.join(branch)
                return
            tried.append(f"{way.name}: {led['why'] or 'did not lead there'}")
        raise walker.failure(self.step, path, f"no way led there ({'; '.join(tried)})")

    def _led(self, way: Step, why: str) -> bool:
        if self.step.done_when is not None and (why or way.done_when is None):
            return self._holds(0.0 if why else self.drive.acting.attempter.within(self.step))
        return not why

    def _way(self, walker: Walker, way: Step, path: str) -> str:
        """Go one way; why it led nowhere, or nothing."""
        try:
            walker.step(way, path, self.scope)
        except Forbidden:
            raise
        except Failure as f:
            return f.why
        except Waiting as w:
            asked = list(w.questions())
            if any(question.get("kind") != "in_doubt" for question in asked):
                raise
            return "; ".join(str(question.get("why", "")) for question in asked)
        return ""
