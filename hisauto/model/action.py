"""What a step can do, as the language and the engine see it. Implementations stand in ``hisauto.actions``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from hisauto.model.transport import Completed, Script


@dataclass(frozen=True)
class Observation:
    """What a look or an action brought back. ``known`` False: it can't be told, and ``why`` says so."""

    known: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    """JSON values, offered to ``expect`` by name: ``rc``, ``stdout``, ``row``, ``status``, ``state``, …"""
    why: str = ""
    diff: str = ""
    """For people who read a plan: what a file would become. Never kept."""


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
    """A folder holding the pinned files of the plan: ``roles/…``, and what stands beside its runbooks."""
    workdir: Path = Path()
    """A private folder (0700) of this attempt on the node; may be gone and made again."""
    known_hosts: Path | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    """What the runbook's expressions see here; for files that are templates."""
    beside: str = "beside"
    """The folder in ``files`` with what stands beside the runbook that this is of."""


@dataclass(frozen=True)
class Call:
    """An action made concrete: a script, and where it runs."""

    script: Script
    on: Literal["host", "node"] = "host"


@dataclass(frozen=True)
class Typed:
    """What a person types to do an action without hisauto. Its secrets are masked."""

    text: str
    """Shell text; what the environment of a ``Script`` would say stands in it."""
    on: Literal["host", "node"] = "host"
    simple: bool = True
    """One command with its arguments: a word like ``sudo`` may stand before it."""
    private: str = ""
    """The part of ``text`` that a step with ``no_log`` shows to nobody."""


Purpose = Literal["look", "change"]


def secret_fields(action: object) -> frozenset[str]:
    """The fields that may hold ``{{ secrets.x }}``, by the action's own word: ``secret_fields``; none, if it says none.

    What stands in them must reach no argument list, on no host: those are public.
    """
    said: frozenset[str] = getattr(action, "secret_fields", frozenset())
    return said
@dataclass(frozen=True)
class Needs:
    """Files that a plan pins for an action, so that what was approved is what runs."""

    roles: tuple[str, ...] = ()
    """Names of roles of the site; what they depend on comes with them."""
    files: tuple[str, ...] = ()
    """Files, or folders with all that is in them: paths from the runbook's folder, ``/`` between their parts."""


@dataclass(frozen=True)
class OwnLook:
    """How an action that is no probe looks at its own effect: by ``call(…, "look")``."""

    expect: str
    """An expression over what that look returns: true when there is nothing left to do."""
    settles: bool
    """It stands in for a ``done_when`` that a step doesn't have. Else it only tells in a plan."""


class Action(Protocol):
    """A kind of step. Registered under the entry point group ``hisauto.actions`` by its name.

    An action never reaches a host by itself: it turns its fields into a script and reads what came back, so that every
    action gets receipts, time-outs, cancel and rehearsal from the engine. Derive from this class: it has the defaults.
    """

    name: ClassVar[str]
    fields: ClassVar[type[BaseModel]]
    """Validates what stands under the action's key. A scalar is given as ``{"": text}``-free: see ``scalar``."""
    scalar: ClassVar[str | None]
    """The field that a bare scalar (or list) under the key fills: ``command: reboot`` → ``argv``."""
    can_look: ClassVar[bool]
    """May stand in probe position, provided that ``changes(fields, "look")`` is False."""
    own_look: ClassVar[OwnLook | None] = None
    opaque: ClassVar[bool] = False
    """Nobody can tell from outside what it does: its step has to have a ``done_when``."""
    returns: ClassVar[Mapping[str, str]]
    """Names that ``expect`` and ``register`` get, each with a word on its type."""
    default_expect: ClassVar[str | None]

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        """Whether it can change anything when used so, as far as its fields tell.

        A command can; an HTTP GET can't. As a look, a command doesn't on its author's word, SQL is made read-only, and
        an HTTP POST still does, so it is refused there.
        """

    def needs(self, fields: BaseModel) -> Needs:
        """What has to be pinned for it. The fields may hold templates still, but not in what is asked here."""
        return Needs()

    def vet(self, fields: BaseModel, files: Mapping[str, bytes]) -> None:
        """Look at what was pinned for it (named as by ``Sources.pin``). Raises ``Invalid`` for what can't work."""
        return

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        """Fields are rendered and validated. Raises ``HisautoError`` when the inventory lacks what it needs."""

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        """What the answer says. As a change, an action that provably never began is a known failure, not an unknown."""


@runtime_checkable
class ByHand(Protocol):
    """What an action also has when a person could do it at a terminal: for the plan on paper."""

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        """Fields are rendered and validated. Raises ``HisautoError`` when the inventory lacks what it needs."""
