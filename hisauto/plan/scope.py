"""The names that a runbook's expressions and templates see at one point of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hisauto.model.world import World
from hisauto.runbook.scope import SecretValues


@dataclass(frozen=True)
class Scope:
    """``names`` hold for the whole run; ``host``, ``items``, ``batch`` are the unit's; at ``here`` the work is done."""

    world: World
    names: Mapping[str, Any]
    host: str | None = None
    batch: int = 1
    here: str | None = None
    items: tuple[int, ...] = ()
    """The places of the unit's items in their lists, from the outside in."""
    space: str = ""
    """The runbook whose names these are: the path of its step, '' for the run's own."""

    def unit(self, host: str | None, batch: int = 1) -> Scope:
        """The same names in the unit of a host."""
        return replace(self, host=host, batch=batch, here=host)

    def each(self, number: int, item: Any, batch: int = 1) -> Scope:
        """The same names in the unit of an item, the ``number``-th of its list."""
        return replace(self.plus(item=item), items=(*self.items, number), batch=batch)

    def standing(self, here: str | None) -> Scope:
        """The same unit, at work at another place."""
        return replace(self, here=here)

    def plus(self, **names: Any) -> Scope:
        """More names."""
        return replace(self, names={**self.names, **names})

    @property
    def within_unit(self) -> bool:
        """Whether it is the unit of a host or of an item."""
        return self.host is not None or bool(self.items)

    def at(self, here: str | None) -> dict[str, Any]:
        """Everything that is visible when working at ``here`` (None: the node)."""
        return {
            **{name: value for name, value in self.names.items() if name != "secrets"},
            "host": self.host,
            "here": here,
            "batch": {"number": self.batch},
            "vars": self.world.vars(here) if here is not None else {},
            "hostvars": self.world.hostvars(),
        }

    def filling(self, here: str | None) -> dict[str, Any]:
        """As ``at``, with the secrets: for what an action hands over in private, and for nothing that is shown."""
        names = self.names.get("secrets") or {}
        return {**self.at(here), "secrets": SecretValues(names, self.world.secrets.value)}
