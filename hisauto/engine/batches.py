"""How many units at a time. A pure count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hisauto.runbook.documents import Step

T = TypeVar("T")


def amount(text: str, total: int, *, least: int = 1) -> int:
    """A count or a percentage of all units, rounded down, at least ``least``."""
    if text.endswith("%"):
        return max(least, total * int(text[:-1]) // 100)
    return max(least, int(text))


def sizes(step: Step) -> Sequence[str]:
    """A step's batch sizes: without any, hosts go all together, and items one after another."""
    return step.batch or (["1"] if step.for_each is not None else ["100%"])


def batches(units: Sequence[T], sizes: Sequence[str]) -> list[list[T]]:
    """Cut units into batches; the last size repeats."""
    left, cut, wanted = list(units), [], list(sizes)
    while left:
        size = amount(wanted[0], len(units))
        if len(wanted) > 1:
            wanted.pop(0)
        cut.append(left[:size])
        left = left[size:]
    return cut
