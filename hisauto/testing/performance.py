"""Playing a case: the real loader, planner, store and interpreter on a world in memory, and what came otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hisauto.errors import HisautoError
from hisauto.model.journal import Journal
from hisauto.model.run import RunState
from hisauto.store.store import Store
from hisauto.testing.cases import HEAD, Case, Deeds, Event, Site, Trouble, as_written, holds
from hisauto.testing.clock import VirtualClock
from hisauto.testing.hosts import Fault, Host
from hisauto.testing.mortal import Death, Killed, Mortal
from hisauto.testing.moves import differences
from hisauto.testing.people import Signatory
from hisauto.testing.stage import NODE, Stage
from hisauto.testing.world import MemoryWorld

PLANNED, CRASH, NO_PLAN = "planned", "crash", "no plan"


class Mismatch(Exception):
    """What happened is not what the case says; the rest can't be played."""


class Performance:
    """One case on a world of its own. ``clock`` and ``store`` may serve many, one after another."""

    def __init__(self, case: Case, site: Site, store: Store, clock: VirtualClock) -> None:
        self.case, self.store, self.clock = case, store, clock
        people = [Signatory(person, *roles) for person, roles in site.people.items()]
        self.world = MemoryWorld(site.groups, clock, people, {str(deed): roles for deed, roles in site.may.items()})
        self.stage = Stage(store, self.world, clock)
        self.run = ""
        for host, state in case.world.state.items():
            self.world.hosts[host].state |= state
        for host, keys in case.world.silent.items():
            self.world.hosts[host].silent |= set(keys)
        for host in case.world.without_receipts:
            self.world.hosts[host].receipts = False

    # ---------------------------------------------------------------- the way through
    def play(self) -> list[str]:
        """From the plan to the end. Returns what came otherwise than the case says, a line each."""
        case = self.case
        try:
            self.prepare()
        except HisautoError as error:
            said = [] if case.end == NO_PLAN else [f"it could not be planned: {error}"]
            return said + ([] if case.why in str(error) else [f"there was no plan because {error}"])
        try:
            if case.end == NO_PLAN:
                return ["it was planned"]
            try:
                self._through()
            except Mismatch as mismatch:
                return [str(mismatch), *self._compare()]
            return self._compare()
        finally:
            self.finish()

    def prepare(self) -> None:
        """Plan the runbook and ask for its run. Raises what the planner raises."""
        case = self.case
        body = case.runbook if case.runbook.startswith("runbook:") else self._headed(case.runbook)
        others = {name: self._headed(text, name) for name, text in case.others.items()}
        plan = self.stage.plan(body, case.params, others)
        self.world.trace.clear()
        level = case.level if case.incident else None
        self.run = self.stage.request(plan, case.by, reason=case.reason, incident=case.incident, level=level)
        for where, troubles in case.world.faults.items():
            host, _, attempt = where.partition(" ")
            for trouble in troubles:
                self.world.hosts[host].fault(attempt, self._fault(trouble))

    @staticmethod
    def _headed(text: str, name: str = "") -> str:
        body = HEAD + text
        return f"runbook: {name or f'case-{hashlib.sha256(body.encode()).hexdigest()[:12]}'}\n{body}"

    def _through(self) -> None:
        """Drive, and between two drives what the case says for there."""
        events, stops = list(self.case.happens), [PLANNED]
        while True:
            crash, at = None, stops[0]
            if events and events[0].at in stops:
                event = events.pop(0)
                self.happen(event)
                crash = event.crash
                if not events and not _moves_on(event):
                    return
            elif at == CRASH:
                pass  # the next node finds it
            elif at != PLANNED:
                if events:
                    raise Mismatch(f"it waits with {' and '.join(stops)}, expected: {events[0].at}")
                return
            stops = self._drive(crash)
            if not stops:
                if events:
                    raise Mismatch(f"it has ended, expected: {events[0].at}")
                return

    def _drive(self, crash: str | None) -> list[str]:
        """One drive; what it stopped at, or nothing when the run has ended."""
        journal: Journal = self.store.claim(self.run, NODE)
        if crash is None:
            end = self.stage.drive(self.run, journal)
        else:
            when, _, point = crash.partition(" ")
            dies: Death = "before" if when == "before" else "after"
            mortal = Mortal(journal, lambda _, name: dies if name == point else "")
            try:
                end = self.stage.drive(self.run, mortal)
            except Killed:
                return [CRASH]
            raise Mismatch(f"it never came to '{point}'; it wrote: {', '.join(mortal.names)}")
        return [] if end is not None else [str(asked["id"]) for asked in self.store.view(self.run).questions]

    # ---------------------------------------------------------------- what happens
    def happen(self, event: Event) -> None:
        """Let it happen while nobody drives."""
        view = self.store.view(self.run)
        asked = next((asked for asked in view.questions if asked["id"] == event.at), None)
        if event.question and not holds(event.question, asked):
            raise Mismatch(f"at {event.at} the question is {_shown(asked)}")
        if event.wakes:
            if view.wake_at is None:
                raise Mismatch(f"at {event.at} it does not wake by itself")
            self.clock.sleep((view.wake_at - self.clock.now()).total_seconds())
            self.store.wake_due(self.clock.now())
        self.do(event, event.at)

    def do(self, deeds: Deeds, at: str = "") -> None:
        """Let it happen. ``at``: the question that people answer, of several."""
        hosts = self.world.hosts
        self.clock.sleep(deeds.passes)
        for host, state in deeds.set.items():
            hosts[host].state |= state
        for host, keys in deeds.silent.items():
            hosts[host].silent |= set(keys)
        for host, seconds in deeds.away.items():
            hosts[host].away(seconds)
        for names, harm in ((deeds.restart, Host.restart), (deeds.die, Host.die), (deeds.wipe, Host.wipe)):
            for host in names:
                harm(hosts[host])
        for person in deeds.leaves:
            del self.world.signatories[person]
        for person, answer in deeds.says.items():
            self._say(person, answer, at)

    def _say(self, person: str, said: str, at: str) -> None:
        answer, _, evidence = said.partition(" with ")
        if answer == "cancel":
            self.stage.cancel(self.run, person)
        elif answer == "break glass":
            self.stage.say(self.run, person, "yes", at=at, reason="it burns", break_glass=True)
        else:
            self.stage.say(self.run, person, answer, at=at, evidence=evidence)

    def _fault(self, trouble: Trouble) -> Fault:
        then = trouble.then
        return Fault(
            rc=trouble.exit, effect=trouble.effect, takes=trouble.takes, late=trouble.late, lost=trouble.lost or "",
            away=trouble.away, no_space=trouble.no_space, times=trouble.times,
            then=(lambda _: self.do(then)) if then is not None else None,
        )  # fmt: skip

    # ---------------------------------------------------------------- what came of it
    def states(self) -> dict[str, str]:
        """Every attempt's state."""
        return {attempt.id: str(attempt.state) for attempt in self.store.attempts(self.run)}

    def _compare(self) -> list[str]:
        case, view = self.case, self.store.view(self.run)
        asked = dict(view.question or {})
        why = str(view.summary.get("why", "") if view.state.ended else asked.get("why", ""))
        said = []
        if view.state != case.end:
            said.append(f"the end is {view.state}, expected: {case.end}" + (f" ({why})" if why else ""))
        if case.why not in why:
            said.append(f"the reason is '{why}', expected: {case.why}")
        said += differences(case.expected, self.world.trace)
        said += self._compare_states()
        left = tuple(item["step"] for item in view.summary.get("left", ()))
        if left != case.left:
            said.append(f"left to do by hand: {_listed(left)}, expected: {_listed(case.left)}")
        said += self._compare_worlds()
        said += self._compare_record(view.summary)
        if view.state.ended and (kept := [lock.key for lock in self.store.locks() if lock.run == self.run]):
            said.append(f"it has ended and holds {', '.join(kept)}")
        return said

    def _compare_states(self) -> list[str]:
        found, wanted = self.states(), self.case.states
        names = [*wanted, *(name for name in found if name not in wanted and "!undo" not in name)]
        return [
            f"{name} is {found.get(name, 'nowhere')}, expected: {wanted.get(name, 'not mentioned')}"
            for name in names
            if found.get(name) != wanted.get(name)
        ]

    def _compare_worlds(self) -> list[str]:
        said = []
        for host, wanted in self.case.after.items():
            self.world.hosts[host].tick()
            state = self.world.hosts[host].state
            found = {key: as_written(state.get(key)) for key in wanted}
            said += [f"{host}: {k} is {found[k]}, expected: {v}" for k, v in wanted.items() if found[k] != str(v)]
        for there in self.world.hosts.values():
            said += [f"what goes wrong at {there.name} {attempt} never came" for attempt in there.unhit]
        return said

    def _compare_record(self, summary: Mapping[str, Any]) -> list[str]:
        said = []
        if not holds(self.case.summary, summary):
            said.append(f"the summary is {_shown(summary)}")
        entries = list(self.store.entries(run=self.run)) if self.case.log else []
        for kind, parts in self.case.log.items():
            found = [entry.data for entry in entries if entry.kind == kind]
            if len(found) != len(parts) or not all(map(_in_entry, parts, found)):
                said.append(f"the log's entries of kind {kind} are {_shown(found)}")
        return said

    def finish(self) -> None:
        """End the run if it is open, so that the next one finds its hosts free."""
        if self.run and not self.store.view(self.run).state.ended:
            journal = self.store.claim(self.run, "cleaner")
            if journal.view().state is RunState.queued:
                journal.move(RunState.locking)
            journal.end(RunState.cancelled, {})


def _moves_on(event: Event) -> bool:
    """Whether anything happens there that the run would go on with."""
    return event.at in (PLANNED, CRASH) or event.wakes or bool(event.passes or event.says or event.set or event.leaves)


def _in_entry(part: Any, entry: Mapping[str, Any]) -> bool:
    return part in _shown(entry) if isinstance(part, str) else holds(part, entry)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing"
