"""The names that a runbook's expressions and templates see at one point of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hisauto.model.world import World


@dataclass(frozen=True)
class Scope:
    """``names`` hold for the whole run; ``host`` and ``batch`` are the unit's; at ``here`` the work is done."""

    world: World
    names: Mapping[str, Any]
    host: str | None = None
    batch: int = 1
    here: str | None = None

    def unit(self, host: str | None, batch: int = 1) -> Scope:
        """The same names in the unit of a host."""
        return replace(self, host=host, batch=batch, here=host)

    def standing(self, here: str | None) -> Scope:
        """The same unit, at work at another place."""
        return replace(self, here=here)

    def plus(self, **names: Any) -> Scope:
        """More names."""
        return replace(self, names={**self.names, **names})

    def at(self, here: str | None) -> dict[str, Any]:
        """Everything that is visible when working at ``here`` (None: the node)."""
        return {
            **self.names,
            "host": self.host,
            "here": here,
            "batch": {"number": self.batch},
            "vars": self.world.vars(here) if here is not None else {},
            "hostvars": self.world.hostvars(),
        }
