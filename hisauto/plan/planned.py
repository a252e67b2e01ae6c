"""A plan with all that was seen on the way to it: what people are shown before they ask for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hisauto.model.world import Permission
from hisauto.plan.look import Seen
from hisauto.plan.plan import Plan
from hisauto.plan.preview import Line


@dataclass(frozen=True)
class Planned:
    """A plan, and what was seen when it was made."""

    plan: Plan
    files: Mapping[str, bytes]
    found: Mapping[str, Seen]
    guards: Sequence[tuple[str, Seen]]
    lines: Sequence[Line]
    """What each step would do; empty when nobody asked."""

    window: Permission
    """What windows and freezes said then."""

    @property
    def refused(self) -> Sequence[str]:
        """Why it would be refused now."""
        bad = [f"{name}: {seen.why or seen.truth.value}" for name, seen in self.guards if seen.truth.value != "true"]
        return bad if self.window.granted else [*bad, self.window.why]

    @property
    def ready(self) -> bool:
        """Every guard said yes, and so did the window."""
        return not self.refused
