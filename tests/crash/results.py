"""What a pass over a campaign came to; a whole one is written down in ``docs/crashes.md``."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from .campaign import Campaign
from .way import Trial

PAGE = Path(__file__).parents[2] / "docs" / "crashes.md"
HEAD = "\n|---|---|---|---|---|---|---|---|---|---|---|\n"
"""Of the page's table, which is the last thing there."""
WHOLE = bool(os.environ.get("HISAUTO_TORTURE"))


class Pass:
    """Trials of one kind over one campaign. At its end it says what was measured."""

    def __init__(self, harm: str, campaign: Campaign, database: str) -> None:
        self.harm, self.campaign, self.database = harm, campaign, database
        self.wrong: list[str] = []
        self._trials = self._died = self._in_doubt = 0
        self._ends = Counter[str]()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def add(self, trial: Trial) -> None:
        self._trials += 1
        self._died += trial.died
        self._in_doubt += trial.in_doubt
        self._ends[trial.result.get("end", "none")] += 1
        if trial.wrong:
            self.wrong.append(trial.story)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            return
        ends = ", ".join(f"{end} {n}" for end, n in sorted(self._ends.items()))
        cells = [self.campaign.scenario.name, self.harm, self.database, len(self.campaign.boundaries), self._trials,
                 self._died, ends, self._in_doubt, len(self.wrong), f"{time.monotonic() - self._began:.0f} s",
                 f"{datetime.now(UTC):%Y-%m-%d}"]  # fmt: skip
        row = f"| {' | '.join(map(str, cells))} |"
        print(f"measured: {row}")
        if WHOLE:
            write(row)


def write(row: str) -> None:
    """Put a row into the page's table, in the place of the one that begins with the same three cells."""
    text = PAGE.read_text()
    above, head, table = text.partition(HEAD)
    same = row.split(" | ")[:3]
    kept = sorted([row, *(old for old in table.splitlines() if old and old.split(" | ")[:3] != same)])
    PAGE.write_text(above + head + "\n".join(kept) + "\n")
