"""What came of faults, in few rows: one step after another, and faults together that come to the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hisauto.testing.rehearsal.faults import How
from hisauto.testing.rehearsal.played import Played


@dataclass(frozen=True)
class Row:
    """Faults at one step, and all ways in which the run can end then."""

    step: str
    """'': between the steps."""
    hows: tuple[str, ...]
    ends: tuple[str, ...]
    """``rolled back``, or with what people said on the way: ``again: succeeded``."""
    undone: tuple[str, ...]
    left: tuple[str, ...]
    broken: int
    """Schedules that break a law."""


def rows(played: Iterable[Played]) -> list[Row]:
    """Of schedules with one fault."""
    found: dict[tuple[str, How], list[Played]] = {}
    for one in played:
        if len(one.schedule.faults) == 1 and not one.unhit:
            fault = one.schedule.faults[0]
            found.setdefault((fault.step, fault.how), []).append(one)
    merged: dict[tuple[object, ...], list[str]] = {}
    for (step, how), those in found.items():
        key = (step, _ends(those), _all(p.undone for p in those), _all(p.left for p in those),
               sum(bool(p.violations) for p in those))  # fmt: skip
        merged.setdefault(key, []).append(how.value)
    order = list(dict.fromkeys(step for step, _ in found))
    made = [Row(step, tuple(hows), ends, undone, left, broken)  # type: ignore[arg-type]
            for (step, ends, undone, left, broken), hows in merged.items()]  # fmt: skip
    return sorted(made, key=lambda row: order.index(row.step))


def _ends(those: Sequence[Played]) -> tuple[str, ...]:
    """Each end once, with the answers that led to it, where there were any."""
    found: dict[str, None] = {}
    for one in those:
        said = ", ".join(answer for _, _, answer in one.choices)
        found[f"{said}: {one.end}" if said else one.end] = None
    return tuple(sorted(found))


def _all(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for names in lists for name in names}))
