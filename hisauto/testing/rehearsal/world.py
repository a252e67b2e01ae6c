"""Hosts that live by a model, and sessions to them in which things go wrong as a schedule has it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from hisauto.clock import Clock
from hisauto.errors import Unreachable
from hisauto.model.action import Action
from hisauto.model.transport import Completed, OnOutput, Receipt, Script, Session
from hisauto.model.world import Permission
from hisauto.testing.hosts import Fault, Host, Work
from hisauto.testing.people import Signatory
from hisauto.testing.rehearsal.actions import ON_NODE
from hisauto.testing.rehearsal.faults import How
from hisauto.testing.rehearsal.model import Model, Unanswered, shown
from hisauto.testing.session import STEP, MemorySession
from hisauto.testing.world import NODE, MemoryWorld, RunWorld

TAKES = 1.0
"""Seconds that an action is at work, where nothing goes wrong."""
ANSIBLE = frozenset({"role", "module", "playbook"})
Told = Callable[[str], None]


class ModelHost(Host):
    """A host whose state is the model's. Whoever works on it works on the model."""

    def __init__(self, name: str, clock: Clock, world: ModelWorld) -> None:
        super().__init__(name, clock, world.begun, lambda host, key: None)
        self.world, self.model = world, world.model
        self.mutex = world.mutex

    def reach(self) -> None:
        if self.name != NODE and not self.model.reachable(self.name):
            self.tick()
            raise Unreachable(f"{self.name}: no answer")
        super().reach()

    @property
    def gone(self) -> bool:
        """Whether nobody can reach it now."""
        try:
            self.reach()
        except Unreachable:
            return True
        return False

    def next_fault(self, attempt: str) -> Fault:
        fault = super().next_fault(attempt)
        return replace(fault, takes=fault.takes or TAKES)

    def start(self, attempt: str, values: dict[str, Any], timeout: float, fault: Fault) -> Work:
        target = values["host"]
        there = self.world.hosts[target] if target is not None and values["kind"] in ANSIBLE else None
        off = isinstance(there, ModelHost) and there.gone
        if fault.rc == 0 and (off or self.model.refuses(values["kind"], values["fields"], target)):
            fault = replace(fault, rc=1, effect=False)
        return super().start(attempt, values, timeout, fault)

    def take_effect(self, work: Work) -> None:
        self.world.take_effect(work.attempt, work.values)

    def answer(self, asked: Mapping[str, Any]) -> Completed:
        """What a look finds."""
        self.tick()
        return said(self.model.answer(asked["kind"], asked["fields"], asked["host"]))


class ModelSession(MemorySession):
    """``hisauto.model.transport.Session`` to such a host."""

    host: ModelHost

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        asked = json.loads(script.text)["set"]
        world = self.host.world
        how = world.eye_trouble(asked["host"])
        if how is How.unreachable:
            raise Unreachable(f"{asked['host']}: no answer")
        with self.host.mutex:
            self.host.reach()
            if how is How.times_out:
                self.clock.sleep(script.timeout)
                return Completed(-1, "timeout")
            if how is How.fails:
                return said(self.host.model.said(asked["kind"], asked["fields"], asked["host"], well=False))
            found = self.host.answer(asked)
            world.looked(asked, found)
            return found

    def _pause(self, left: float) -> float:
        return min(left, max(STEP, left / 8))

    def _tick(self) -> None:
        self.host.world.tick()

    def _said(self, work: Work) -> Receipt:
        receipt = super()._said(work)
        if receipt.completed is None or receipt.completed.how != "exit":
            return receipt
        sent = work.values
        try:
            values = self.host.model.said(sent["kind"], sent["fields"], sent["host"], well=work.rc == 0)
        except Unanswered:
            values = None
        return replace(receipt, completed=replace(said(values), rc=work.rc))


def said(values: Mapping[str, Any] | None) -> Completed:
    """As it comes from a host; None: nobody can tell."""
    return Completed(0, "exit", json.dumps(values).encode(), b"" if values is not None else b"it does not say")


class ModelWorld(MemoryWorld):
    """Hosts, groups and people by facts. ``tell`` hears all that happens, a line each."""

    hosts: dict[str, Host]

    def __init__(
        self, model: Model, clock: Clock, people: list[Signatory], actions: Mapping[str, Action], tell: Told
    ) -> None:
        super().__init__(model.facts.hosts, clock, people, actions=actions)
        self.model, self.tell = model, tell
        self.mutex = threading.RLock()
        """Of all hosts: an effect on one can be felt on another."""
        self.hosts = {name: ModelHost(name, clock, self) for name in self.hosts}
        self._vars = {name: {"inventory_hostname": name, **given} for name, given in model.vars.items()}
        self.kept = dict.fromkeys(model.facts.secrets, "a secret of the rehearsal")
        self.started: list[tuple[str, dict[str, Any]]] = []
        """Every action that was begun, in order: attempt, what was sent."""
        self.effects: list[tuple[str, str]] = []
        """Every effect, in order: attempt, ``HOST.VARIABLE``; '' for one that changed nothing."""
        self.when_changed: Callable[[], None] = lambda: None
        self.trouble: How | None = None
        """What is wrong with looks now."""
        self._last_look = ""

    def permission(self, kind: str, window: str | None, at: datetime) -> Permission:
        """Windows and freezes are the site's, and no part of a rehearsal."""
        return Permission(True, "a rehearsal knows no windows", bound=False)

    def begun(self, host: str, attempt: str, sent: dict[str, Any]) -> None:
        """An action has started on a host."""
        self.started.append((attempt, sent))
        self.tell(f"{sent['host'] or host} begins {sent['kind']}: {shown(sent['kind'], sent['fields'])}")

    def looked(self, asked: Mapping[str, Any], found: Completed) -> None:
        line = f"{asked['host'] or NODE} is asked {asked['kind']}: {shown(asked['kind'], asked['fields'])}"
        if line != self._last_look:
            self.tell(f"{line} → {_brief(found)}")
        self._last_look = line

    def take_effect(self, attempt: str, sent: Mapping[str, Any]) -> None:
        """An action's effect is there."""
        lived = [host for host in self.model.state if self.model.up(host)]
        changed = self.model.apply(sent["kind"], sent["fields"], sent["host"])
        for host, variable, value in changed:
            self.effects.append((attempt, f"{host}.{variable}"))
            self.tell(f"{host}.{variable} is {value} now")
        if not changed:
            self.effects.append((attempt, ""))
        for host in lived:
            if not self.model.up(host):
                self.tell(f"{host} is down: what was at work there is gone")
                self.hosts[host].restart()
        self.when_changed()

    def tick(self) -> None:
        """Let everything happen whose time has come, on all hosts."""
        for host in self.hosts.values():
            host.tick()

    def eye_trouble(self, host: str | None) -> How | None:
        """What goes wrong with a look that is taken now."""
        return self.trouble if self.trouble is not How.unreachable or host is not None else None

    def at(self, run: str) -> ModelRunWorld:
        return ModelRunWorld(self, run)


class ModelRunWorld(RunWorld):
    """The world through the sessions of one run."""

    def session(self, host: str | None) -> Session:
        there = self.world.hosts[host or NODE]
        assert isinstance(there, ModelHost)
        return ModelSession(there, self.run, self.world.clock)


class Eye(ModelRunWorld):
    """The world as it is, whoever can reach whatever: for the laws."""

    def session(self, host: str | None) -> Session:
        there = self.world.hosts[host or NODE]
        assert isinstance(there, ModelHost)
        return EyeSession(there, self.run, self.world.clock)


class EyeSession(ModelSession):
    """Looks that nothing stands in the way of, and that nobody hears of."""

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        asked = json.loads(script.text)["set"]
        if asked["host"] is not None and asked["kind"] not in ON_NODE and not self.host.model.up(asked["host"]):
            raise Unreachable(f"{asked['host']} is down")
        return said(self.host.model.answer(asked["kind"], asked["fields"], asked["host"]))


def _brief(found: Completed) -> str:
    values = json.loads(found.out) if found.how == "exit" else None
    if values is None:
        return "it can't be told"
    for name in ("row", "state", "status", "stdout"):
        if values.get(name) not in (None, "", 0):
            return str(values[name])
    return f"refused={str(values['refused']).lower()}" if "refused" in values else f"rc={values.get('rc')}"
