"""People: who may ask, approve and decide, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from hisauto.clock import stamp


@dataclass(frozen=True)
class Limits:
    """When a key speaks for its person."""

    since: datetime | None = None
    until: datetime | None = None
    """From here on it does not."""
    revoked: str = ""
    """When it was revoked, in words. From then on nothing counts that it signed, whenever that says it was."""

    def why_not(self, moment: datetime) -> str:
        """Why it does not speak at a moment; empty: it does."""
        if self.revoked:
            return f"was revoked ({self.revoked})"
        if self.since is not None and moment < self.since:
            return f"is not valid before {stamp(self.since)}"
        if self.until is not None and moment >= self.until:
            return f"expired at {stamp(self.until)}"
        return ""


@dataclass(frozen=True)
class Deputising:
    """Somebody else's roles, for a time."""

    roles: frozenset[str]
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Person:
    """Somebody of the site, with the public keys that speak for them."""

    id: str
    name: str
    roles: frozenset[str]
    keys: tuple[str, ...]
    """OpenSSH public keys, ``ssh-ed25519 AAAA…``."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Of a key; one that isn't here speaks always."""
    deputising: tuple[Deputising, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    """Of a person ``at`` a moment: their keys that don't speak then, and why."""

    def at(self, moment: datetime) -> Person:
        """This person as they stand at a moment: with the roles they hold for others, and the keys that speak."""
        silent = {key: why for key, limits in self.limits.items() if (why := limits.why_not(moment))}
        held = (d.roles for d in self.deputising if d.since <= moment < d.until)
        keys = tuple(key for key in self.keys if key not in silent)
        return replace(self, roles=self.roles.union(*held), keys=keys, limits={}, deputising=(), silent=silent)


def at(people: Mapping[str, Person], moment: datetime) -> dict[str, Person]:
    """Everybody as they stand at a moment."""
    return {name: person.at(moment) for name, person in people.items()}
