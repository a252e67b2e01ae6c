"""Playing one schedule: the real interpreter and store on the model, with what goes wrong at its time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hisauto.engine.drive import Drive
from hisauto.errors import HisautoError
from hisauto.model.run import AttemptState, RunState, RunView
from hisauto.plan.build import build
from hisauto.plan.look import Looker
from hisauto.plan.places import place
from hisauto.plan.plan import Plan
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.store.store import Store
from hisauto.testing import hosts
from hisauto.testing.clock import VirtualClock
from hisauto.testing.hosts import Host
from hisauto.testing.mortal import Death, Killed
from hisauto.testing.people import Signatory
from hisauto.testing.rehearsal import laws
from hisauto.testing.rehearsal.facts import NO_PLAN, Test
from hisauto.testing.rehearsal.faults import AWAY, DEATHS, LATE, Fault, How, Schedule
from hisauto.testing.rehearsal.model import Model
from hisauto.testing.rehearsal.people import REQUESTER, crowd, options
from hisauto.testing.rehearsal.played import STOPPED, Played, Script, Spot
from hisauto.testing.rehearsal.watched import Watched
from hisauto.testing.rehearsal.world import ModelWorld
from hisauto.testing.stage import NODE, Stage

DRIVES = 60
"""After so many drives a run is said to have no end."""
RECORD = re.compile(r"(?P<attempt>.+#\d+) (?P<state>\w+)")


class Player:
    """Plays schedules of one test, one after another, on one store."""

    def __init__(self, script: Script, test: Test, store: Store, clock: VirtualClock) -> None:
        self.script, self.test, self.store, self.clock = script, test, store, clock
        self.people: list[Signatory] = []
        world = self._world(lambda _: None)
        looker = Looker(Scope(world.at("look"), {"hosts": {}, "run": dict.fromkeys(laws.RUN)}), clock)
        self.plan: Plan | None = None
        self.no_plan = ""
        try:
            self.plan = build(script.runbook, test.params, looker, site="rehearsal", people="", files={},
                              find=script.find)[0]  # fmt: skip
        except HisautoError as error:
            self.no_plan = str(error)
        self.holes = list(world.model.holes)
        if self.plan is not None:
            self.people = crowd([part.runbook for part in self.plan.parts.values()])
        self.seen_states: dict[str, list[str]] = {}

    def play(self, schedule: Schedule) -> Played:
        """One run, from its request to its end."""
        if self.plan is None:
            wrong = [*self.holes]
            if self.test.end != NO_PLAN:
                wrong.append(f"it can't be planned: {self.no_plan}")
            return Played(schedule, NO_PLAN, self.no_plan, wrong)
        return _Performance(self, schedule).play()

    def _world(self, tell: Callable[[str], None]) -> ModelWorld:
        script = self.script
        return ModelWorld(Model(script.facts, script.source, self.test), self.clock, self.people, script.actions, tell)


class _Performance:
    """One schedule."""

    def __init__(self, player: Player, schedule: Schedule) -> None:
        assert player.plan is not None
        self.player, self.schedule, self.plan = player, schedule, player.plan
        self.store, self.clock = player.store, player.clock
        self.played = Played(schedule, STOPPED)
        self.world = player._world(self.tell)
        self.stage = Stage(self.store, self.world, self.clock)
        self.pending = list(schedule.faults)
        self.begun_at = self.clock.monotonic()
        self.run = ""
        self.journal: Watched | None = None
        self.again: dict[str, int] = {}
        self.names: dict[str, str] = {}
        """Of attempts, as they were first written."""
        self.world.when_changed = self.check_state

    # ---------------------------------------------------------------- the way through
    def play(self) -> Played:
        played = self.played
        self.run = self.stage.request(self.plan, REQUESTER, reason="rehearsal")
        self.check_state()
        self._arm()
        try:
            self._through()
            view = self.store.view(self.run)
            if view.state.ended:
                played.end, played.why = view.state.value, str(view.summary.get("why", ""))
                self.tell(f"the end: {played.end}" + (f": {played.why}" if played.why else ""))
            played.violations += laws.at_the_end(self.plan, self.world, self.store, view, self.schedule)
            played.left = [f"{item['name']} ({item['host'] or 'node'})" for item in view.summary.get("left", ())]
            played.undone = [f"{a.name} ({a.host or 'node'})" for a in self.store.attempts(self.run)
                             if a.state is AttemptState.undone]  # fmt: skip
        except HisautoError as error:
            played.violations.append(f"the interpreter broke off: {error}")
        finally:
            self._finish()
        played.violations += [f"a fact is missing: {hole}" for hole in self.world.model.holes]
        played.violations = list(dict.fromkeys(played.violations))
        played.unhit = list(self.pending)
        return played

    def _through(self) -> None:
        for _ in range(DRIVES):
            self.world.trouble = None
            self.journal = Watched(self.store.claim(self.run, NODE), self._dies, written_down=self._written)
            try:
                if Drive(self.journal, self.world.at(self.run), self.clock).go() is not None:
                    return
            except Killed:
                self.tell("the orchestrator dies; another one takes over")
                if self.store.view(self.run).state.ended:
                    return
                continue
            if not self._answer(self.store.view(self.run)):
                return

    def _finish(self) -> None:
        """End what is open, so that the next one finds its hosts free."""
        if not self.store.view(self.run).state.ended:
            if not self.played.violations:
                self.played.violations.append(f"{STOPPED}: {self._waits()}")
            journal = self.store.claim(self.run, "cleaner")
            if journal.view().state is RunState.queued:
                journal.move(RunState.locking)
            journal.end(RunState.cancelled, {})

    def _waits(self) -> str:
        asked = self.store.view(self.run).questions
        return ", ".join(str(q["id"]) for q in asked) or "it goes on and on"

    # ---------------------------------------------------------------- what goes wrong
    def _take(self, at: str, *hows: How) -> Fault | None:
        """The fault that is due here, if there is one; it doesn't come again."""
        for fault in self.pending:
            if fault.at == at and fault.how in hows:
                self.pending.remove(fault)
                self._hit(fault)
                return fault
        return None

    def _hit(self, fault: Fault) -> None:
        self.tell(f"*** {fault}")
        self.played.first_hit = len(self.played.spots)

    def _arm(self) -> None:
        """Have actions go wrong when their turn comes."""
        for fault in self.schedule.faults:
            if (made := self._of_an_act(fault)) is not None:
                for host in self.world.hosts.values():
                    host.fault(fault.at, made)

    def _of_an_act(self, fault: Fault) -> hosts.Fault | None:
        def struck(_: Host) -> None:
            if fault in self.pending:
                self.pending.remove(fault)
                self._hit(fault)

        def away(host: Host) -> None:
            struck(host)
            sent = next((sent for attempt, sent in reversed(self.world.started) if attempt == fault.at), None)
            target = sent["host"] if sent is not None else None
            if target is not None and target != host.name:  # its work is done from the node
                self.world.hosts[target].away(AWAY)

        def wiped(host: Host) -> None:
            struck(host)
            host.wipe()

        def killed(host: Host) -> None:
            struck(host)
            assert self.journal is not None
            self.journal.dead = True
            raise Killed

        match fault.how:
            case How.fails:
                return hosts.Fault(rc=1, then=struck)
            case How.fails_after:
                return hosts.Fault(rc=1, effect=True, then=struck)
            case How.times_out:
                return hosts.Fault(takes=24 * 3600.0, then=struck)
            case How.unreachable:
                return hosts.Fault(lost="unsent", away=AWAY, then=away)
            case How.late:
                return hosts.Fault(late=LATE, then=struck)
            case How.too_late:
                return hosts.Fault(late=self._too_late(fault.at), then=struck)
            case How.cut:
                return hosts.Fault(takes=5.0, lost="running", then=struck)
            case How.lost:
                return hosts.Fault(lost="answer", then=wiped)
            case How.dies_during:
                return hosts.Fault(takes=5.0, lost="running", then=killed)
            case _:
                return None

    def _too_late(self, attempt: str) -> float:
        """Beyond what its step waits for."""
        step = self.step_of(attempt)
        within = (step.done_when.within if step.done_when else None) or step.within if step is not None else None
        return (within or 30.0) + 5.0

    def step_of(self, attempt: str) -> Step | None:
        """The step of an attempt, or of an undo's."""
        found = place(self.plan.runbook.steps, attempt.split("!", 1)[0].rpartition("#")[0] or attempt.split("!", 1)[0])
        return found.step if found is not None else None

    def _dies(self, _: int, write: str) -> Death:
        for fault in self.pending:
            if fault.at == write and fault.how in DEATHS:
                self.pending.remove(fault)
                self._hit(fault)
                return "before" if fault.how is How.dies_before else "after"
        return ""

    # ---------------------------------------------------------------- what is written
    def _written(self, write: str, args: tuple[Any, ...], more: dict[str, Any]) -> None:
        spots = self.played.spots
        name = self._name(write, more)
        spots.append(Spot(write, "write", name))
        self.tell(f"on record: {write}" + (f" ({name})" if name else ""))
        if (found := RECORD.fullmatch(write)) is not None:
            self._recorded(found["attempt"], found["state"], more, name)
        elif write == "move guarding":
            self._looks("guards", "the guards")
        elif write in ("note guards", "move refused"):
            self.world.trouble = None
        elif write == "move verifying":
            self._looks("verify:1", "verify 1")
        elif write.startswith("note verify:"):
            n = int(write.rpartition(":")[2]) + 1
            self.world.trouble = None
            if n <= len(self.plan.runbook.verify):
                self._looks(f"verify:{n}", f"verify {n}")
        elif write == "note verdict":
            self.world.trouble = None
        if self._take(write, How.cancelled) is not None:
            self.stage.cancel(self.run, REQUESTER)

    def _recorded(self, attempt: str, state: str, more: Mapping[str, Any], name: str) -> None:
        look = bool((more.get("intent") or {}).get("look"))
        if state == "started" and look:
            self._looks(attempt, name)
        elif state == "started" and "manual" not in (more.get("intent") or {}):
            step = self.step_of(attempt)
            endless = step is not None and "!" not in attempt and step.interrupt == "never"
            sent = (more.get("intent") or {}).get("action")
            at_once = sent is not None and self.world.model.at_once(sent["kind"], sent["fields"], more.get("host"))
            self.played.spots.append(Spot(attempt, "act", name, endless, at_once))
        else:
            self.world.trouble = None

    def _looks(self, at: str, name: str) -> None:
        """Looks begin here whose answers may go wrong, until they are settled."""
        self.played.spots.append(Spot(at, "look", name))
        fault = self._take(at, How.fails, How.times_out, How.unreachable)
        self.world.trouble = fault.how if fault is not None else None

    def _name(self, write: str, more: Mapping[str, Any]) -> str:
        found = RECORD.fullmatch(write)
        if found is None:
            return ""
        known = self.names.setdefault(found["attempt"], str(more.get("name") or ""))
        host = re.search(r"\[([^]]*)\]", found["attempt"])
        return f"{known} [{host[1]}]" if host else known

    # ---------------------------------------------------------------- what people say
    def _answer(self, view: RunView) -> bool:
        """Answer what the run waits for, or let time pass. False: nothing would ever happen."""
        before = self.clock.monotonic()
        said = [self._one(view, dict(question)) for question in view.questions]
        if any(said) or self.clock.monotonic() > before:
            return True
        if view.wake_at is None:
            return False
        self._pass(view)
        return True

    def _pass(self, view: RunView) -> None:
        assert view.wake_at is not None
        self.clock.sleep((view.wake_at - self.clock.now()).total_seconds())
        self.world.tick()
        self.store.wake_due(self.clock.now())

    def _one(self, view: RunView, question: Mapping[str, Any]) -> bool:
        at = str(question["id"])
        if question["kind"] == "gate":
            self.played.spots.append(Spot(at, "gate", str(question.get("name", ""))))
            fault = self._take(at, How.denied, How.expired, How.cancelled)
            if fault is not None:
                return self._refuse(view, question, fault.how)
        answer = self._choose(question)
        if answer is None:
            return False
        if question["kind"] == "gate":
            for role, number in question["by"].items():
                for n in range(1, number + 1):
                    self._say(f"{role}-{n}", answer, at)
        elif question["kind"] == "manual":
            if answer == "done":
                self.world.take_effect(str(question["step"]), {"kind": "manual", "fields": {"do": question["do"]},
                                                               "host": question["host"]})  # fmt: skip
            self._say(f"{question['by']}-1", answer, at, evidence="seen")
        else:
            self.again[at.partition("#")[0]] = self.again.get(at.partition("#")[0], 0) + (answer == "again")
            self._say(REQUESTER, answer, at)
        return True

    def _refuse(self, view: RunView, question: Mapping[str, Any], how: How) -> bool:
        if how is How.denied:
            self._say(f"{next(iter(question['by']))}-1", "no", str(question["id"]))
        elif how is How.cancelled:
            self.stage.cancel(self.run, REQUESTER)
        elif view.wake_at is not None:
            self._pass(view)
        return True

    def _choose(self, question: Mapping[str, Any]) -> str | None:
        """As the schedule says; behind its end, as a sensible person would."""
        at = str(question["id"])
        found = options(question, is_so=self._is_so(str(question.get("step", ""))),
                        said_again=self.again.get(at.partition("#")[0], 0))  # fmt: skip
        if len(found) < 2:
            return found[0] if found else None
        n = len(self.played.choices)
        wanted = self.schedule.answers[n] if n < len(self.schedule.answers) else found[0]
        answer = wanted if wanted in found else found[0]
        self.played.choices.append((at, tuple(found), answer))
        return answer

    def _is_so(self, attempt: str) -> bool:
        return any(attempt == known for known, _ in self.world.effects)

    def _say(self, person: str, answer: str, at: str, evidence: str = "") -> None:
        self.tell(f"{person} says {answer} to {at}")
        self.stage.say(self.run, person, answer, at=at, evidence=evidence)

    # ---------------------------------------------------------------- what is always looked at
    def check_state(self) -> None:
        """What must never be, in the state that was just reached."""
        for found in laws.in_a_state(self.plan, self.world, self.clock, self.player.seen_states):
            if found not in self.played.violations:
                self.tell(f"!!! {found}")
                self.played.violations.append(found)

    def tell(self, line: str) -> None:
        self.played.story.append(f"{self.clock.monotonic() - self.begun_at:9.1f} s  {line}")
