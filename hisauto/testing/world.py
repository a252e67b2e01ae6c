"""``hisauto.model.world.World`` in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hisauto.clock import Clock
from hisauto.errors import NotFound
from hisauto.model.action import Action, Place
from hisauto.model.person import Person
from hisauto.model.secrets import Secrets
from hisauto.model.transport import Session
from hisauto.model.world import Permission
from hisauto.site.patterns import resolve
from hisauto.site.windows import Freeze, Span, permission
from hisauto.testing.actions import ACTIONS
from hisauto.testing.hosts import Host
from hisauto.testing.moves import LOOK
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
        *,
        vars: Mapping[str, Mapping[str, Any]] | None = None,
        actions: Mapping[str, Action] = ACTIONS,
    ) -> None:
        """``may``: which roles may ``run``, ``decide`` and ``cancel``; a deed that isn't there is everybody's.

        ``vars``: what the inventory says of a host; ``actions``: what can be done to one.
        """
        self.clock, self.actions, self._may = clock, actions, may or {}
        self.moves: list[tuple[str, str, dict[str, Any]]] = []
        """Every action that started, in order: host, attempt, values."""
        self.trace: list[str] = []
        """Every act and every look that reached its host, in order, as ``hisauto.testing.moves`` has them."""
        names = list(dict.fromkeys(host for hosts in groups.values() for host in hosts))
        self.hosts = {name: Host(name, clock, self._moved, self._looked) for name in (*names, NODE)}
        self.groups: Mapping[str, Sequence[str]] = {"all": names, **groups}
        self.signatories = {one.person.id: one for one in people}
        self.kept: dict[str, str] = {}
        """The site's secrets; one that is empty can't be had."""
        self.windows: dict[str, Sequence[Span]] = {}
        self.freezes: list[Freeze] = []
        self._vars: dict[str, dict[str, Any]] = {
            name: {"inventory_hostname": name, **(vars or {}).get(name, {})} for name in names
        }

    def _moved(self, host: str, attempt: str, values: dict[str, Any]) -> None:
        self.moves.append((host, attempt, values))
        self.trace += [f"{host} {key}={value}" for key, value in values.items()]

    def _looked(self, host: str, key: str) -> None:
        self.trace.append(f"{host}{LOOK}{key}")

    @property
    def people(self) -> Mapping[str, Person]:
        return {name: one.person for name, one in self.signatories.items()}

    def may(self, person: str, deed: str, at: datetime) -> bool:
        who = self.people.get(person)
        return who is not None and (deed not in self._may or not who.at(at).roles.isdisjoint(self._may[deed]))

    def resolve(self, pattern: str, names: Mapping[str, Sequence[str]]) -> list[str]:
        return resolve(pattern, _Inventory(self._vars, self.groups), names)

    def vars(self, host: str) -> Mapping[str, Any]:
        return self._vars[host]

    def hostvars(self) -> Mapping[str, Mapping[str, Any]]:
        return self._vars

    def permission(self, kind: str, window: str | None, at: datetime) -> Permission:
        return permission(kind, window, self.windows, self.freezes, at)

    def secret(self, name: str) -> str:
        if not self.kept[name]:
            raise NotFound("it is not there")
        return self.kept[name]

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
        self.secrets = Secrets(world.kept, world.secret)
        self.may, self.resolve, self.permission = world.may, world.resolve, world.permission
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
