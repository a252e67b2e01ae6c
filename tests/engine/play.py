"""A small site in memory, and the words in which the tests say what happened on it."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from hisauto.model.journal import Journal
from hisauto.model.run import RunState
from hisauto.store.store import Store
from hisauto.testing.clock import VirtualClock
from hisauto.testing.hosts import Fault
from hisauto.testing.people import Signatory
from hisauto.testing.stage import Stage
from hisauto.testing.world import MemoryWorld

GROUPS = {"db": ["a", "b"], "app": ["app1", "app2", "app3", "app4"]}
PEOPLE = [
    Signatory("duty-1", "duty"),
    Signatory("dba-1", "dba"),
    Signatory("dba-2", "dba"),
    Signatory("lead-1", "lead"),
    Signatory("guest-1", "guest"),
]
STAFF = ("duty", "dba", "lead")
HEAD = "version: 1.0.0\ntitle: A case\nkind: emergency\nowner: dba\n"


class Play:
    """One test's site."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        self.world = MemoryWorld(GROUPS, clock, PEOPLE, {"run": STAFF, "decide": STAFF, "cancel": STAFF})
        self.stage = Stage(store, self.world, clock)
        self.runs: list[str] = []

    def request(
        self, text: str, by: str = "duty-1", incident: str | None = None, others: Mapping[str, str] | None = None
    ) -> str:
        """Submit a runbook; ``text`` begins after its head."""
        body = HEAD + textwrap.dedent(text).strip() + "\n"
        name = "case-" + hashlib.sha256(body.encode()).hexdigest()[:12]
        plan = self.stage.plan(f"runbook: {name}\n{body}", others=written(others or {}))
        self.runs.append(self.stage.request(plan, by, incident=incident, level=1 if incident else None))
        return self.runs[-1]

    def prepare(
        self,
        text: str,
        start: Mapping[str, Mapping[str, Any]] | None = None,
        faults: Mapping[str, Fault] | None = None,
        incident: str | None = None,
    ) -> str:
        """Ask for a run on hosts in this state; ``faults``: by ``host attempt``, what will go wrong."""
        for host, state in (start or {}).items():
            self.world.hosts[host].state |= state
        run = self.request(text, incident=incident)
        for where, fault in (faults or {}).items():
            host, attempt = where.split(" ")
            self.world.hosts[host].fault(attempt, fault)
        return run

    def drive(self, run: str, journal: Journal | None = None) -> RunState | None:
        return self.stage.drive(run, journal)

    def turn(self, run: str, said: str) -> None:
        """Let happen what a case says."""
        if said == "time":
            wake = self.store.view(run).wake_at
            assert wake is not None
            self.clock.sleep((wake - self.clock.now()).total_seconds())
            assert run in self.store.wake_due(self.clock.now())
            return
        later, _, said = said.rpartition("; ")
        if later:
            self.clock.sleep(60)
        person, deed = said.split(" ", 1)
        if deed == "cancels":
            assert self.stage.cancel(run, person)
        elif deed == "breaks the glass":
            assert self.stage.say(run, person, "yes", reason="it burns", break_glass=True)
        else:
            answer, _, evidence = deed.partition(" with ")
            answer, _, at = answer.partition(" at ")
            assert self.stage.say(run, person, answer, at=at, evidence=evidence)

    def through(self, run: str, turns: Iterable[str] = ()) -> RunState | None:
        """Drive, and after each wait the next turn, until there is none left or the run has ended."""
        left = list(turns)
        while True:
            end = self.drive(run)
            if end is not None or not left:
                assert not left, f"it ended ({end}) before {left}"
                return end
            self.turn(run, left.pop(0))

    def moves(self) -> str:
        return ", ".join(
            f"{host} {key}={value}" for host, _, values in self.world.moves for key, value in values.items()
        )

    def states(self, run: str) -> dict[str, str]:
        return {attempt.id: str(attempt.state) for attempt in self.store.attempts(run)}

    def log(self, run: str, kind: str) -> list[Any]:
        return [entry for entry in self.store.entries(run=run) if entry.kind == kind]

    def finish(self) -> None:
        """End what a test left open, so that the next finds its hosts free."""
        for run in self.runs:
            while not self.store.view(run).state.ended:
                journal = self.store.claim(run, "cleaner")
                journal.move(RunState.locking) if journal.view().state is RunState.queued else None
                journal.end(RunState.cancelled, {})


def written(others: Mapping[str, str]) -> dict[str, str]:
    """Runbooks, whole, by the names by which others call them."""
    return {name: f"runbook: {name}\n{HEAD}{textwrap.dedent(text).strip()}\n" for name, text in others.items()}
