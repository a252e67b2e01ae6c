"""The sentences of ``docs/semantics.md`` as cases: a runbook, a world, what people say → every move and every state."""

from __future__ import annotations

import pytest

from . import cases_attempts, cases_ends, cases_units
from .play import Case, Play

CASES = [*cases_attempts.CASES, *cases_units.CASES, *cases_ends.CASES]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(play: Play, case: Case) -> None:
    run = play.prepare(case)
    play.check(case, run, play.through(run, case.turns))
