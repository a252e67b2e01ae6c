"""``hisauto.model.world.World`` in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hisauto.clock import Clock
from hisauto.model.action import Action, Place
from hisauto.model.person import Person
from hisauto.model.transport import Session
from hisauto.site.patterns import resolve
from hisauto.testing.actions import ACTIONS
from hisauto.testing.hosts import Host
from hisauto.testing.people import Signatory
from hisauto.testing.session import MemorySession

NODE = "node"
"""The name of the node's own state."""


class MemoryWorld:
    """Hosts, groups and people. It outlives the drives that use it: what a host remembers is remembered here."""

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        clock: Clock,
        people: Sequence[Signatory] = (),
        may: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """``may``: which roles may ``run``, ``decide`` and ``cancel``; a deed that isn't there is everybody's."""
        self.clock, self._may = clock, may or {}
        self.moves: list[tuple[str, str, dict[str, Any]]] = []
        """Every action that started, in order: host, attempt, values."""
        names = list(dict.fromkeys(host for hosts in groups.values() for host in hosts))
        self.hosts = {name: Host(name, clock, self._moved) for name in (*names, NODE)}
        self.groups: Mapping[str, Sequence[str]] = {"all": names, **groups}
        self.signatories = {one.person.id: one for one in people}
        self._vars: dict[str, dict[str, Any]] = {name: {"inventory_hostname": name} for name in names}

    def _moved(self, host: str, attempt: str, values: dict[str, Any]) -> None:
        self.moves.append((host, attempt, values))

    @property
    def actions(self) -> Mapping[str, Action]:
        return ACTIONS

    @property
    def people(self) -> Mapping[str, Person]:
        return {name: one.person for name, one in self.signatories.items()}

    def may(self, person: str, deed: str) -> bool:
        who = self.people.get(person)
        return who is not None and (deed not in self._may or not who.roles.isdisjoint(self._may[deed]))

    def resolve(self, pattern: str, names: Mapping[str, Sequence[str]]) -> list[str]:
        return resolve(pattern, _Inventory(self._vars, self.groups), names)

    def vars(self, host: str) -> Mapping[str, Any]:
        return self._vars[host]

    def hostvars(self) -> Mapping[str, Mapping[str, Any]]:
        return self._vars

    def at(self, run: str) -> RunWorld:
        """The world as one run sees it."""
        return RunWorld(self, run)


class _Inventory:
    def __init__(self, hosts: Mapping[str, object], groups: Mapping[str, Sequence[str]]) -> None:
        self.hosts, self.groups = hosts, groups


class RunWorld:
    """The world through the sessions of one run."""

    def __init__(self, world: MemoryWorld, run: str) -> None:
        self.world, self.run = world, run
        self.may, self.resolve = world.may, world.resolve
        self.vars, self.hostvars = world.vars, world.hostvars

    @property
    def actions(self) -> Mapping[str, Action]:
        return self.world.actions

    @property
    def people(self) -> Mapping[str, Person]:
        return self.world.people

    def session(self, host: str | None) -> Session:
        return MemorySession(self.world.hosts[host or NODE], self.run, self.world.clock)

    def place(self, host: str | None, attempt: str) -> Place:
        at = self.world.vars(host) if host is not None else {}
        return Place(host, at, self.world.hostvars(), workdir=Path("/nonexistent"))
