"""What is played, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hisauto.model.action import Action
from hisauto.runbook.documents import Runbook
from hisauto.runbook.source import Source
from hisauto.testing.rehearsal.facts import Facts
from hisauto.testing.rehearsal.faults import Fault, Schedule

STOPPED = "it does not come to an end"


@dataclass(frozen=True)
class Spot:
    """Something that happened, at which something else can happen instead."""

    at: str
    """An attempt, ``guards``, ``verify:n``, a gate's id or a write."""
    kind: str
    """``act``, ``look``, ``gate``, ``write``, ``begun`` or ``settled``."""
    step: str = ""
    endless: bool = False
    """Its time-out doesn't end it (``interrupt: never``)."""
    at_once: bool = False
    """Its effect can't be late."""


@dataclass
class Played:
    """What came of a schedule."""

    schedule: Schedule
    end: str
    why: str = ""
    violations: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unhit: list[Fault] = field(default_factory=list)
    """Faults whose moment never came."""
    spots: list[Spot] = field(default_factory=list)
    first_hit: int = 0
    """How many spots there were when the last fault struck."""
    choices: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    """Questions with several answers: id, what could be said, what was."""
    story: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Script:
    """A runbook and what its rehearsal knows of the world."""

    runbook: Runbook
    facts: Facts
    source: Source
    actions: Mapping[str, Action]
    """Rehearsed ones."""
    find: Callable[[str], Runbook]
