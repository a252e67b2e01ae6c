"""What names stand for in expressions, beyond plain JSON: hosts by name, and results of a step on many hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

RESERVED = frozenset(
    {"params", "hosts", "host", "here", "vars", "hostvars", "item", "batch", "run", "before", "secrets"}
)
"""Names that expressions have already; nothing registers under them."""


class Hosts(tuple[str, ...]):
    """Host names. As text they are joined by commas; one host compares equal to its name. In JSON it is a list."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return len(self) == 1 and self[0] == other
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        # Equal to its only name, so it hashes like it.
        return hash(self[0]) if len(self) == 1 else super().__hash__()


class SecretValues(Mapping[str, str]):
    """``secrets.NAME``: each is had when it is asked for. It has no text of its own, so that none gets out in bulk."""

    def __init__(self, names: Mapping[str, str], value: Callable[[str], str]) -> None:
        """``names``: what the runbook calls them → what the site does."""
        self._names, self._value = names, value

    def __getitem__(self, name: str) -> str:
        return self._value(self._names[name])

    def __iter__(self) -> Iterator[str]:
        raise TypeError("secrets are filled in one by one: secrets.NAME")

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return "secrets"


@dataclass(frozen=True)
class Results:
    """What a step registered. ``name.field`` is this unit's result, else the only one there is."""

    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By host: ``name.hosts['app1'].rc``."""
    items: tuple[Mapping[str, Any], ...] = ()
    """By place in a list of items: ``name.items[0].rc``."""
    own: Mapping[str, Any] | None = None
    """The result of the unit that asks; None outside of one."""

    def lookup(self, name: str) -> Any:
        """A field's value. Raises ``LookupError`` with the reason when there is none, or when it isn't clear whose."""
        if name == "hosts":
            return self.hosts
        if name == "items":
            return self.items
        results = [*self.hosts.values(), *self.items]
        own = self.own if self.own is not None else results[0] if len(results) == 1 else None
        if own is None:
            several = f"has {len(results)} results; say which: .hosts['name']" if results else "has no result"
            raise LookupError(several)
        if name not in own:
            raise LookupError(f"has no {name!r}")
        return own[name]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with the fields of this unit's or the only result beside ``hosts`` and ``items``."""
        results = [*self.hosts.values(), *self.items]
        own = self.own if self.own is not None else results[0] if len(results) == 1 else {}
        return {**own, "hosts": dict(self.hosts), "items": list(self.items)}
