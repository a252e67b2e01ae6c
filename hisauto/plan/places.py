"""Where a step stands in a run: ``4[app07]@2.1`` is the first in the fourth, for app07, in the second round.

A unit is a host, or the number of an item from 0 on. The first round has no mark. What stands in no list of the plan
(an undo, ``always``) has a path too, and no place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hisauto.runbook.documents import Step

_PART = re.compile(r"(\d+)(?:\[([^]]*)\])?(?:@(\d+))?(?:\.|$)")
Recall = Callable[[str], Any]
"""What was noted in a run under a key, or None."""


@dataclass(frozen=True)
class Place:
    """A step of the plan, and the units that it is in."""

    step: Step
    space: str = ""
    """The step that is the runbook in which names are looked up: its path without units; '' is the run's own."""
    host: str | None = None
    """The unit's host: the outermost."""
    items: tuple[int, ...] = ()
    """The places of the items, from the outside in."""
    lists: tuple[str, ...] = ()
    """For each of them, the path of the step that goes through the list."""


def place(steps: Sequence[Step], path: str) -> Place | None:
    """The place that a path names; None for what stands in no list."""
    found: Place | None = None
    at, space = 0, ""
    static: list[str] = []
    host: str | None = None
    items: tuple[int, ...] = ()
    lists: tuple[str, ...] = ()
    while at < len(path):
        match = _PART.match(path, at)
        if match is None or not 0 < int(match[1]) <= len(steps):
            return None
        if found is not None and found.step.part is not None:
            space, host, items, lists = ".".join(static), None, (), ()
        step = steps[int(match[1]) - 1]
        static.append(match[1])
        if match[2] is not None and step.for_each is not None:
            items, lists = (*items, int(match[2])), (*lists, path[: match.end(1)])
        elif match[2] is not None:
            host = host or match[2]
        found, steps, at = Place(step, space, host, items, lists), step.block or (), match.end()
    return found


def static(path: str) -> str:
    """The path of a step in the plan: without units and rounds."""
    return re.sub(r"\[[^]]*\]|@\d+", "", path)


def beside(space: str) -> str:
    """Where a plan keeps the files that stand beside the runbook which is that step; '' is the run's own."""
    return f"parts/{space}" if space else "beside"


def round_of(path: str, number: int) -> str:
    """The path of a block in one of its rounds."""
    return path if number == 1 else f"{path}@{number}"


def rounds(path: str, recall: Recall) -> int:
    """The newest round of a block that has begun."""
    number = 1
    while recall(f"round:{round_of(path, number + 1)}") is not None:
        number += 1
    return number


def units(step: Step, path: str, recall: Recall) -> list[str]:
    """The paths of a step's units, as they were fixed when it began; nothing when it has not."""
    if step.for_each is not None:
        return [f"{path}[{n}]" for n, _ in enumerate(recall(f"items:{path}") or ())]
    if step.hosts is not None:
        return [f"{path}[{host}]" for host in recall(f"hosts:{path}") or ()]
    return [path]


def begun(steps: Sequence[Step], recall: Recall, prefix: str = "") -> Iterator[tuple[str, Step]]:
    """Every step in every unit and round, in the order of the plan, as far as their number is fixed."""
    for n, step in enumerate(steps, 1):
        for unit in units(step, f"{prefix}{n}", recall):
            yield unit, step
            for number in range(1, rounds(unit, recall) + 1) if step.block else ():
                yield from begun(step.block or (), recall, f"{round_of(unit, number)}.")


def inside(path: str, prefix: str) -> bool:
    """Whether a step's path is that of a unit, or in it. Undos are in none."""
    rest = path[len(prefix) :][:1]
    return "!" not in path and path.startswith(prefix) and (not prefix or rest in ("", ".", "[", "@"))
