"""Everything outside the interpreter that it may touch: hosts, people, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from hisauto.model.action import Action, Place
from hisauto.model.person import Person
from hisauto.model.secrets import Secrets
from hisauto.model.transport import Session


@dataclass(frozen=True)
class Permission:
    """What the site's windows and freezes say at a moment."""

    granted: bool
    why: str
    bound: bool
    """False: no window or freeze can say no to this kind of runbook."""
    until: datetime | None = None
    """When the answer changes; None: that isn't known, or never."""


class World(Protocol):
    """The site as one run sees it."""

    @property
    def actions(self) -> Mapping[str, Action]: ...

    @property
    def people(self) -> Mapping[str, Person]: ...

    def may(self, person: str, deed: str, at: datetime) -> bool:
        """Whether the site lets this person do ``run``, ``decide``, ``cancel`` at a moment."""

    def permission(self, kind: str, window: str | None, at: datetime) -> Permission:
        """Whether windows and freezes let a runbook of this kind, with this window, begin something at a moment."""

    @property
    def secrets(self) -> Secrets:
        """The site's secrets, as this run has had them so far."""

    def resolve(self, pattern: str, names: Mapping[str, Sequence[str]]) -> list[str]:
        """Hosts of an Ansible pattern in inventory order; ``names`` take part like groups. Raises ``NotFound``."""

    def vars(self, host: str) -> Mapping[str, Any]:
        """The host's inventory variables."""

    def hostvars(self) -> Mapping[str, Mapping[str, Any]]: ...

    def session(self, host: str | None) -> Session:
        """The one session to a host (None: the node itself) of this run."""

    def place(self, host: str | None, attempt: str) -> Place:
        """The surroundings of an attempt."""
