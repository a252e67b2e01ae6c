"""The real world of a run: the site's hosts through the transports."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from hisauto.model.action import Action, Place
from hisauto.model.person import Person
from hisauto.model.secrets import Secrets
from hisauto.model.transport import Session, Transport
from hisauto.model.world import Permission
from hisauto.site.inventory import Inventory
from hisauto.site.patterns import resolve
from hisauto.site.site import Site


class SiteWorld:
    """``hisauto.model.world.World`` over a site; one for each run, or for a look without one."""

    def __init__(
        self,
        site: Site,
        inventory: Inventory,
        actions: Mapping[str, Action],
        transports: Mapping[str, Transport],
        *,
        run: str,
        files: Path,
    ) -> None:
        self.site, self.inventory, self._actions, self._transports = site, inventory, actions, transports
        self.run, self.files = run, files
        self.secrets = Secrets(site.settings.secrets, site.secret)
        self._sessions: dict[str | None, Session] = {}
        self._mutex = threading.Lock()

    @property
    def actions(self) -> Mapping[str, Action]:
        return self._actions

    @property
    def people(self) -> Mapping[str, Person]:
        return self.site.people

    def may(self, person: str, deed: str, at: datetime) -> bool:
        return self.site.may(person, deed, at)

    def permission(self, kind: str, window: str | None, at: datetime) -> Permission:
        return self.site.permission(kind, window, at)

    def resolve(self, pattern: str, names: Mapping[str, Sequence[str]]) -> list[str]:
        return resolve(pattern, self.inventory, names)

    def vars(self, host: str) -> Mapping[str, Any]:
        return self.inventory.vars(host)

    def hostvars(self) -> Mapping[str, Mapping[str, Any]]:
        return self._hostvars

    @cached_property
    def _hostvars(self) -> Mapping[str, Mapping[str, Any]]:
        return {host: self.inventory.vars(host) for host in self.inventory.hosts}

    def session(self, host: str | None) -> Session:
        with self._mutex:
            if host not in self._sessions:
                kind = "local" if host is None else "ssh"
                at = {} if host is None else self.inventory.vars(host)
                self._sessions[host] = self._transports[kind].session(host or "node", at, self.run)
            return self._sessions[host]

    def place(self, host: str | None, attempt: str) -> Place:
        at = self.vars(host) if host is not None else {}
        known_hosts = at.get("hisauto_known_hosts")
        return Place(
            host=host,
            vars=at,
            hostvars=self._hostvars,
            inventory=self.site.paths("inventory"),
            files=self.files,
            workdir=self.work / attempt.replace("/", "_"),
            known_hosts=Path(known_hosts) if known_hosts else self.site.settings.ssh.known_hosts,
        )

    @property
    def work(self) -> Path:
        """Private folders of this run's attempts on the node."""
        return self.site.state / "work" / self.run

    def close(self) -> None:
        """Close every session."""
        with self._mutex:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()
