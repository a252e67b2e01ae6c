"""Everything outside the interpreter that it may touch: hosts, people, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hisauto.model.action import Action, Place
from hisauto.model.person import Person
from hisauto.model.transport import Session


class World(Protocol):
    """The site as one run sees it."""

    @property
    def actions(self) -> Mapping[str, Action]: ...

    @property
    def people(self) -> Mapping[str, Person]: ...

    def may(self, person: str, deed: str) -> bool:
        """Whether the site lets this person do ``run``, ``decide``, ``cancel``."""

    def resolve(self, pattern: str, names: Mapping[str, Sequence[str]]) -> list[str]:
        """Hosts of an Ansible pattern in inventory order; ``names`` take part like groups. Raises ``NotFound``."""

    def vars(self, host: str) -> Mapping[str, Any]:
        """The host's inventory variables."""

    def hostvars(self) -> Mapping[str, Mapping[str, Any]]: ...

    def session(self, host: str | None) -> Session:
        """The one session to a host (None: the node itself) of this run."""

    def place(self, host: str | None, attempt: str) -> Place:
        """The surroundings of an attempt."""
