"""What a step can do, as the language and the engine see it. Implementations stand in ``hisauto.actions``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel

from hisauto.model.transport import Completed, Script


@dataclass(frozen=True)
class Observation:
    """What a look or an action brought back. ``known`` False: it can't be told, and ``why`` says so."""

    known: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    """JSON values, offered to ``expect`` by name: ``rc``, ``stdout``, ``row``, ``status``, ``state``, …"""
    why: str = ""


@dataclass(frozen=True)
class Place:
    """Where an action is about to work, and what it may know of the surroundings."""

    host: str | None
    """None: the node itself."""
    vars: Mapping[str, Any]
    """Inventory variables of the host; empty on the node."""
    hostvars: Mapping[str, Mapping[str, Any]]
    inventory: tuple[Path, ...] = ()
    """Ansible inventory sources."""
    files: Path = Path()
    """A folder holding the pinned files of the plan: ``roles/…``, scripts."""
    workdir: Path = Path()
    """A private folder (0700) of this attempt on the node; may be gone and made again."""
    known_hosts: Path | None = None


@dataclass(frozen=True)
class Call:
    """An action made concrete: a script, and where it runs."""

    script: Script
    on: Literal["host", "node"] = "host"


Purpose = Literal["look", "change"]


class Action(Protocol):
    """A kind of step. Registered under the entry point group ``hisauto.actions`` by its name.

    An action never reaches a host by itself: it turns its fields into a script and reads what came back, so that every
    action gets receipts, time-outs, cancel and rehearsal from the engine.
    """

    name: ClassVar[str]
    fields: ClassVar[type[BaseModel]]
    """Validates what stands under the action's key. A scalar is given as ``{"": text}``-free: see ``scalar``."""
    scalar: ClassVar[str | None]
    """The field that a bare scalar (or list) under the key fills: ``command: reboot`` → ``argv``."""
    can_look: ClassVar[bool]
    """May stand in probe position, provided that ``changes(fields, "look")`` is False."""
    preview: ClassVar[bool]
    """Can say in a plan what it would change, by ``call(…, "look")``, though no probe (a role's check mode)."""
    returns: ClassVar[Mapping[str, str]]
    """Names that ``expect`` and ``register`` get, each with a word on its type."""
    default_expect: ClassVar[str | None]

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        """Whether it can change anything when used so, as far as its fields tell.

        A command can; an HTTP GET can't. As a look, a command doesn't on its author's word, SQL is made read-only, and
        an HTTP POST still does, so it is refused there.
        """

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        """Fields are rendered and validated. Raises ``HisautoError`` when the inventory lacks what it needs."""

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        """What the answer says. As a change, an action that provably never began is a known failure, not an unknown."""
