"""Walking a list of steps: units, batches, blocks, ways. What has happened already is read, not done again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hisauto.clock import stamp
from hisauto.engine.attempt import Attempter, Verdict
from hisauto.engine.outcome import UNFIT, Ended, Failure, Forbidden, Interruption, Waiting
from hisauto.errors import HisautoError
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.plan.look import FANOUT, Seen
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Probe, Step
from hisauto.runbook.expressions import Truth, evaluate, render

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

UNDONE = frozenset({AttemptState.undone, AttemptState.undo_failed})
AGAIN_BY_ITSELF = 2
"""How often an ``idempotent`` step whose end isn't known is run again before a person is asked."""


class Walker:
    """Goes through the plan's steps for one drive."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal
        self.attempter = Attempter(drive)
        self.out: set[str] = set()
        """Hosts that failed: they take part in nothing further."""
        self.tolerated: list[str] = []

    def steps(self, steps: Sequence[Step], prefix: str, scope: Scope) -> None:
        """A list, in order."""
        for i, step in enumerate(steps, 1):
            self.step(step, f"{prefix}{i}", scope)

    def step(self, step: Step, path: str, scope: Scope) -> None:
        """One step: at its hosts, batch by batch, or where its unit stands."""
        if step.hosts is None:
            self.unit(step, path, scope)
            return
        if self._joint(step) and not self.drive.looker(scope).changes(step):
            self.look(step, path, scope, joint=True)
            return
        hosts = self.journal.recall(f"hosts:{path}")
        if hosts is None:
            try:
                found = list(self.drive.looker(scope).targets_of(step))
            except UNFIT as e:
                raise self._failure(step, path, e) from e
            hosts = self.journal.note(f"hosts:{path}", found, kind="hosts")
        if not hosts:  # a change that reached nobody is no success
            raise Failure(path, f"{step.name}: no host is {step.hosts!r}", policy=step.on_failure)
        units = [h for h in hosts if h not in self.out]
        if scope.host is not None and len(units) < len(hosts):
            missing = ", ".join(h for h in hosts if h in self.out)
            raise Failure(path, f"{step.name}: {missing} failed before, and {scope.host} can't go on without")
        allowed = amount(step.max_failures, len(hosts), least=0)
        failed: list[Failure] = []
        for number, batch in enumerate(batches(units, step.batch), 1):
            failed += self._batch(step, path, scope, batch, number)
            if len(failed) > allowed:
                whys = "; ".join(f.why for f in failed)
                first = Failure(failed[0].path, whys, attempt=failed[0].attempt, policy=failed[0].policy)
                first.undone = failed[0].undone
                raise first
        self.tolerated += [f.path for f in failed]

    def _batch(self, step: Step, path: str, scope: Scope, batch: Sequence[str], number: int) -> list[Failure]:
        """One batch, side by side; all of it is settled before anything else happens."""

        def one(host: str) -> Interruption | None:
            inner = scope.unit(host, number) if scope.host is None else scope.standing(host)
            try:
                self.unit(step, f"{path}[{host}]", inner)
            except Forbidden as f:
                return f
            except Failure as f:
                self._back(step, f"{path}[{host}]", f)
                self.out.add(host)
                return f
            except Interruption as i:
                return i
            return None

        if len(batch) == 1:
            ends = [one(batch[0])]
        else:
            with ThreadPoolExecutor(min(FANOUT, len(batch) or 1)) as pool:
                ends = list(pool.map(one, batch))
        for kind in (Ended, Forbidden, Waiting):
            for end in ends:
                if isinstance(end, kind):
                    raise end
        return [end for end in ends if isinstance(end, Failure)]

    def unit(self, step: Step, path: str, scope: Scope) -> None:
        """A step in its unit: gate, message, block, look or action."""
        self.drive.check_cancel()
        scope = self.drive.informed(scope)
        if (known := self.journal.recall(f"failed:{path}:{self.drive.rounds(path)}")) is not None:
            raise Failure(path, known, policy=_policy(step))
        if step.when is not None and not self._when(step, path, scope):
            return
        if step.approve is not None or step.notify is not None:
            try:
                self.drive.gates.gate(step, path, scope) if step.approve else self._notify(step, path, scope)
            except UNFIT as e:
                raise self._failure(step, path, e) from e
        elif step.block is not None:
            self._unit_of_steps(step, path, scope)
        elif self.drive.looker(scope).changes(step):
            self.act(step, path, scope)
        else:
            self.look(step, path, scope)

    def _when(self, step: Step, path: str, scope: Scope) -> bool:
        """``when``, evaluated once. One that can't be told fails the step."""
        assert step.when is not None
        known = self.journal.recall(f"when:{path}")
        if known is None:
            answer = evaluate(step.when, scope.at(scope.here))
            if answer.truth is Truth.unknown:
                raise self._failure(step, path, f"when: {step.when} cannot be told: {answer.why}")
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

    def _failure(self, step: Step, path: str, why: HisautoError | str) -> Failure:
        """A failure that no attempt stands for, journaled so that another drive comes to the same."""
        said = self.journal.note(f"failed:{path}:{self.drive.rounds(path)}", f"{step.name}: {why}", kind="failed")
        return Failure(path, said, policy=_policy(step))

    def _back(self, step: Step, path: str, failure: Failure) -> None:
        """What a unit's step says of its failure: the unit goes back, or how the run goes on."""
        if step.on_failure != "rollback":
            failure.policy = failure.policy or step.on_failure
        elif self.drive.barred():
            failure.policy = "ask"  # past the point of no return nothing is undone by itself
        else:
            self.drive.rollback(path)
            failure.undone = path

    # ---------------------------------------------------------------- blocks
    def _unit_of_steps(self, step: Step, path: str, scope: Scope) -> None:
        try:
            self._block(step, path, scope)
        except Forbidden:
            raise
        except Failure as f:
            if step.hosts is None:
                self._back(step, path, f)
            raise

    def _block(self, step: Step, path: str, scope: Scope) -> None:
        assert step.block is not None
        if step.done_when is not None:
            begun = self.journal.recall(f"block:{path}")
            if begun is None:
                already = self._holds(step, scope, within=0.0)
                begun = self.journal.note(f"block:{path}", {"already": already}, kind="block")
            if begun["already"]:
                return
        if step.ways is not None:
            self._ways(step, path, scope)
            return
        self.steps(step.block, f"{path}.", scope)
        if step.done_when is not None and self.journal.recall(f"block.done:{path}") is None:
            if not self._holds(step, scope, within=self.attempter._within(step)):
                raise self._failure(step, path, "done_when does not hold after its last step")
            self.journal.note(f"block.done:{path}", True, kind="block")

    def _holds(self, step: Step, scope: Scope, *, within: float) -> bool:
        assert step.done_when is not None
        seen = self.drive.looker(scope).until(step.done_when, within=within, holds=step.done_when.holds)
        return seen.truth is Truth.true

    def _ways(self, step: Step, path: str, scope: Scope) -> None:
        """In order, until one's own ``done_when``, or else the block's, holds. One that leads nowhere is no failure."""
        assert step.ways is not None
        tried: list[str] = []
        for i, way in enumerate(step.ways, 1):
            key, wpath = f"way:{path}.{i}", f"{path}.{i}"
            led = self.journal.recall(key)
            if led is None:
                why = self._way(way, wpath, scope)
                there = not why
                if step.done_when is not None and (why or way.done_when is None):
                    there = self._holds(step, scope, within=0.0 if why else self.attempter._within(step))
                led = self.journal.note(key, {"led": there, "why": why}, kind="way")
            if led["led"]:
                return
            tried.append(f"{way.name}: {led['why'] or 'did not lead there'}")
        raise self._failure(step, path, f"no way led there ({'; '.join(tried)})")

    def _way(self, way: Step, path: str, scope: Scope) -> str:
        """Go one way; why it led nowhere, or nothing."""
        walker = Walker(self.drive)  # its own: a way that leads nowhere bars its hosts from nothing
        walker.out = set(self.out)
        try:
            walker.step(way, path, scope)
        except Forbidden:
            raise
        except Failure as f:
            return f.why
        except Waiting as w:
            if w.question.get("kind") != "in_doubt":
                raise
            return str(w.question.get("why", ""))
        self.tolerated += walker.tolerated
        return ""

    # ---------------------------------------------------------------- single steps
    def look(self, step: Step, path: str, scope: Scope, *, joint: bool = False) -> None:
        """A step that only looks: polls until it is so. ``joint``: one question to all its hosts together."""
        n = self.drive.latest(path)
        known = self.journal.attempt(path, n)
        if known is not None and known.state is AttemptState.failed and self.drive.again(known.id):
            n, known = n + 1, None
        if known is None:
            known = self.journal.record(path, n, AttemptState.started, name=step.name, host=scope.here,
                                        intent={"look": True})  # fmt: skip
        if known.state is AttemptState.started:
            probe = Probe(action=step.action, hosts=step.hosts if joint else None, expect=step.expect,
                          timeout=min(step.timeout, 30.0), exactly=step.exactly, at_least=step.at_least,
                          unreachable=step.unreachable, become=step.become, env=step.env)  # fmt: skip
            seen = self.drive.looker(scope).until(probe, within=step.within or 0.0, holds=step.holds)
            self.drive.check_cancel()
            state = AttemptState.done if seen.truth is Truth.true else AttemptState.failed
            values = by_host(seen) if joint else look_values(seen)
            known = self.journal.record(path, n, state, result=Verdict(state, seen.why, values).result())
        self.register(step, known, scope.host)
        if known.result["outcome"] != "done":
            raise Failure(path, f"{step.name}: {known.result['why']}", attempt=known.id, policy=step.on_failure)

    def act(self, step: Step, path: str, scope: Scope) -> None:
        """A step that can change something: attempt after attempt until it is settled."""
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
                self.register(step, attempt, scope.host)
                return
            self.drive.check_cancel()
            if outcome == "failed":
                if not self._another(step, attempt):
                    why = f"{step.name}: {attempt.result['why']}"
                    raise Failure(path, why, attempt=attempt.id, policy=step.on_failure)
            elif not self._doubt(step, attempt):
                continue  # decided: read it again
            n += 1

    def _another(self, step: Step, attempt: Attempt) -> bool:
        """Whether a failed attempt gets another one: a retry, or a person's word."""
        if self.drive.again(attempt.id):
            return True
        if step.retries is None or attempt.n > step.retries.times or step.irreversible is not None:
            return False
        self.drive.clock.sleep(step.retries.wait)
        return True

    def _doubt(self, step: Step, attempt: Attempt) -> bool:
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
        why = f"{step.name}: {attempt.result['why']}; {decided.person} decided: {decided.answer}"
        raise Failure(attempt.path, why, policy=decided.answer)

    def register(self, step: Step, attempt: Attempt, unit: str | None) -> None:
        """Make a settled attempt's values known under the step's name."""
        if step.register_ is None:
            return
        values = dict(attempt.result.get("values") or {})
        joint = self._joint(step) and attempt.intent.get("look")
        for host, told in values["hosts"].items() if joint else [(unit or attempt.host, values)]:
            self.drive.register(step.register_, host, told, at=stamp(attempt.ended_at or self.drive.clock.now()),
                                source=step.name)  # fmt: skip

    @staticmethod
    def _joint(step: Step) -> bool:
        """One question to all its hosts together."""
        counted = step.exactly is not None or step.at_least is not None
        return counted and step.hosts is not None and step.action is not None


def _policy(step: Step) -> str | None:
    """How the run goes on when this step fails by itself; of a block it says how its unit does."""
    return step.on_failure if step.block is None else None


def by_host(seen: Seen) -> dict[str, Any]:
    """What each host answered."""
    return {"hosts": {h.host or "node": dict(h.observation.values) for h in seen.hosts}}


def look_values(seen: Seen) -> dict[str, Any]:
    """What a look registers: the one host's values, or all of them."""
    if len(seen.hosts) == 1:
        return dict(seen.hosts[0].observation.values)
    return by_host(seen)


def amount(text: str, total: int, *, least: int = 1) -> int:
    """A count or a percentage of all units, rounded down, at least ``least``."""
    if text.endswith("%"):
        return max(least, total * int(text[:-1]) // 100)
    return max(least, int(text))


def batches(units: Sequence[str], sizes: Sequence[str] | None) -> list[list[str]]:
    """Cut units into batches; the last size repeats; without sizes all go together."""
    left, cut = list(units), []
    wanted = list(sizes or ["100%"])
    total = len(units)
    while left:
        size = amount(wanted[0], total)
        if len(wanted) > 1:
            wanted.pop(0)
        cut.append(left[:size])
        left = left[size:]
    return cut
