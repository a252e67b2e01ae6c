"""People: who may ask, approve and decide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Somebody of the site, with the public keys that speak for them."""

    id: str
    name: str
    roles: frozenset[str]
    keys: tuple[str, ...]
    """OpenSSH public keys, ``ssh-ed25519 AAAA…``."""
