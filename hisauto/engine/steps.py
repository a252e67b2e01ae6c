"""Walking a list of steps, in units and batches. What has happened already is read, not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hisauto.engine.attempt import Verdict
from hisauto.engine.batches import amount, batches, sizes
from hisauto.engine.blocks import Block
from hisauto.engine.known import joint
from hisauto.engine.outcome import UNFIT, Ended, Failure, Forbidden, Interruption, Waiting
from hisauto.errors import HisautoError, Invalid
from hisauto.model.run import AttemptState
from hisauto.plan.items import items_of
from hisauto.plan.look import FANOUT
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import Truth, evaluate, render

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive


@dataclass(frozen=True)
class Unit:
    """A host or an item that a step runs for."""

    path: str
    scope: Callable[[int], Scope]
    """Its names, given the number of its batch."""
    host: str | None
    """None: it is an item's."""


class Walker:
    """Goes through the plan's steps for one drive; side by side, each branch has a walker of its own."""

    def __init__(self, drive: Drive, out: frozenset[str] = frozenset()) -> None:
        self.drive = drive
        self.journal = drive.journal
        self.out = set(out)
        """Hosts that failed: they take part in nothing further."""
        self.tolerated: list[str] = []

    def fork(self) -> Walker:
        """A branch: what fails in it is known to the others only when it is settled."""
        return Walker(self.drive, frozenset(self.out))

    def join(self, branch: Walker) -> None:
        self.out |= branch.out
        self.tolerated += branch.tolerated

    def steps(self, steps: Sequence[Step], prefix: str, scope: Scope) -> None:
        """A list, in order."""
        for i, step in enumerate(steps, 1):
            self.step(step, f"{prefix}{i}", scope)

    def step(self, step: Step, path: str, scope: Scope) -> None:
        """One step: at its hosts or for its items, batch by batch, or where its unit stands."""
        if not step.units:
            self.unit(step, path, scope)
            return
        if joint(step) and not self.drive.looker(scope).changes(step):
            self.drive.acting.look(step, path, scope)
            return
        self.check_failed(step, path)
        total, units = self._items(step, path, scope) if step.for_each is not None else self._hosts(step, path, scope)
        allowed = amount(step.max_failures, total, least=0)
        failed: list[Failure] = []
        for number, batch in enumerate(batches(units, sizes(step)), 1):
            self.drive.windows.batch(step, path, scope, [unit.path for unit in batch])
            failed += self._batch(step, batch, number)
            if len(failed) > allowed or any(f.stuck for f in failed):
                raise Failure.all(failed)
        self.tolerated += [f.path for f in failed]

    # ---------------------------------------------------------------- units
    def _hosts(self, step: Step, path: str, scope: Scope) -> tuple[int, list[Unit]]:
        """How many units there are, and those whose hosts have not failed before."""
        hosts = self.journal.recall(f"hosts:{path}")
        if hosts is None:
            try:
                found = list(self.drive.looker(scope).targets_of(step))
            except UNFIT as e:
                raise self.failure(step, path, e) from e
            hosts = self.journal.note(f"hosts:{path}", found, kind="hosts")
        if not hosts:  # a change that reached nobody is no success
            raise Failure(path, f"{step.name}: no host is {step.hosts!r}", policy=step.on_failure)
        missing = ", ".join(h for h in hosts if h in self.out)
        if missing and scope.within_unit:
            who = scope.host or "this item"
            raise Failure(path, f"{step.name}: {missing} failed before, and {who} can't go on without")

        def unit(host: str) -> Unit:
            def there(number: int) -> Scope:
                if scope.host is not None:  # the unit stays the outer one's, at work at another place
                    return scope.standing(host)
                return scope.unit(host, scope.batch if scope.items else number)

            return Unit(f"{path}[{host}]", there, host)

        return len(hosts), [unit(host) for host in hosts if host not in self.out]

    def _items(self, step: Step, path: str, scope: Scope) -> tuple[int, list[Unit]]:
        items = self.journal.recall(f"items:{path}")
        if items is None:
            try:
                found = items_of(step, self.drive.informed(scope))
            except Invalid as e:
                raise self.failure(step, path, f"for_each: {e}") from e
            items = self.journal.note(f"items:{path}", found, kind="items")

        def unit(number: int, item: Any) -> Unit:
            return Unit(f"{path}[{number}]", lambda n: scope.each(number, item, n), None)

        return len(items), [unit(number, item) for number, item in enumerate(items)]

    def _batch(self, step: Step, batch: Sequence[Unit], number: int) -> list[Failure]:
        """One batch: units that failed, after all of it is settled."""

        def one(unit: Unit) -> Callable[[Walker], None]:
            def walk(branch: Walker) -> None:
                try:
                    branch.unit(step, unit.path, unit.scope(number))
                except Forbidden:
                    raise
                except Failure as f:
                    branch.back(step, unit.path, f)
                    if unit.host is not None:
                        branch.out.add(unit.host)
                    raise
                finally:
                    if unit.host is None:  # it is the item that failed: its hosts are there for the others
                        branch.out = set(self.out)

            return walk

        return self.side_by_side([one(unit) for unit in batch])

    def side_by_side(self, branches: Sequence[Callable[[Walker], None]]) -> list[Failure]:
        """Those that failed, once all are settled. What stops the whole run or waits for somebody is raised."""

        def one(walk: Callable[[Walker], None]) -> tuple[Walker, Interruption | None]:
            branch = self.fork()
            try:
                walk(branch)
            except Interruption as i:
                return branch, i
            return branch, None

        if len(branches) == 1:
            settled = [one(branches[0])]
        else:
            with ThreadPoolExecutor(min(FANOUT, len(branches) or 1)) as pool:
                settled = list(pool.map(one, branches))
        for branch, _ in settled:
            self.join(branch)
        ends = [end for _, end in settled]
        for kind in (Ended, Forbidden):
            for end in ends:
                if isinstance(end, kind):
                    raise end
        if waits := [end for end in ends if isinstance(end, Waiting)]:
            raise Waiting.all(waits)
        return [end for end in ends if isinstance(end, Failure)]

    def unit(self, step: Step, path: str, scope: Scope) -> None:
        """A step in its unit: gate, message, a person's work, block, look or action."""
        self.drive.check_cancel()
        scope = self.drive.informed(scope)
        if step.block is None:
            self.check_failed(step, path)
        if step.when is not None and not self._when(step, path, scope):
            return
        if step.approve is not None or step.notify is not None:
            try:
                self.drive.gates.gate(step, path, scope) if step.approve else self._notify(step, path, scope)
            except UNFIT as e:
                raise self.failure(step, path, e) from e
        elif step.block is not None:
            try:
                Block(self, step, path, scope).run()
            except Forbidden:
                raise
            except Failure as f:
                if not step.units:
                    self.back(step, path, f)
                raise
        elif step.manual is not None:
            self.drive.by_hand.ask(step, path, scope)
        elif self.drive.looker(scope).changes(step):
            self.drive.acting.act(step, path, scope)
        else:
            self.drive.acting.look(step, path, scope)

    def _when(self, step: Step, path: str, scope: Scope) -> bool:
        """``when``, evaluated once. One that can't be told fails the step."""
        assert step.when is not None
        known = self.journal.recall(f"when:{path}")
        if known is None:
            self.check_failed(step, path)
            answer = evaluate(step.when, scope.at(scope.here))
            if answer.truth is Truth.unknown:
                raise self.failure(step, path, f"when: {step.when} cannot be told: {answer.why}")
            known = self.journal.note(f"when:{path}", answer.truth is Truth.true, kind="when")
        if not known and step.block is None and self.journal.attempt(path, 1) is None:
            verdict = Verdict(AttemptState.skipped, f"not so: {step.when}")
            self.journal.record(path, 1, AttemptState.skipped, name=step.name, host=scope.here,
                                result=verdict.result())  # fmt: skip
        return bool(known)

    def _notify(self, step: Step, path: str, scope: Scope) -> None:
        assert step.notify is not None
        text = render(step.notify.text, scope.at(scope.here))
        self.journal.note(f"notify:{path}", {"to": list(step.notify.to), "text": text}, kind="notify")

    def check_failed(self, step: Step, path: str) -> None:
        """Raise the failure that an earlier drive journaled, unless a person said to try again since."""
        if (known := self.journal.recall(f"failed:{path}:{self.drive.rounds(path)}")) is not None:
            raise Failure(path, known, policy=_policy(step))

    def failure(self, step: Step, path: str, why: HisautoError | str) -> Failure:
        """A failure that no attempt stands for, journaled so that another drive comes to the same."""
        said = self.journal.note(f"failed:{path}:{self.drive.rounds(path)}", f"{step.name}: {why}", kind="failed")
        return Failure(path, said, policy=_policy(step))

    def back(self, step: Step, path: str, failure: Failure) -> None:
        """What a unit's step says of its failure: the unit goes back, or how the run goes on."""
        if step.on_failure != "rollback":
            failure.policy = failure.policy or step.on_failure
        elif self._barred(path):
            failure.policy, failure.stuck = "ask", True  # past the point of no return nothing is undone by itself
        else:
            self.drive.rollback(path)
            failure.undone = path
            if step.block is None:
                failure.policy = None  # that was of the unit: how the run goes on, the runbook says

    def _barred(self, path: str) -> bool:
        """Whether the point of no return was behind us when this unit failed: it may be now, and wasn't then."""
        key = f"barred:{path}:{self.drive.rounds_in(path)}"
        known = self.journal.recall(key)
        if known is None:
            known = self.journal.note(key, self.drive.barred(), kind="barred")
        return bool(known)


def _policy(step: Step) -> str | None:
    """How the run goes on when this step fails by itself; of a block it says how its unit does."""
    return step.on_failure if step.block is None else None
