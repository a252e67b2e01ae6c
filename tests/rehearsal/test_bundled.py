"""The bundled runbooks, rehearsed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hisauto.site.site import runbooks_of
from hisauto.testing.rehearsal.explore import Bounds
from hisauto.testing.rehearsal.faults import How, Schedule
from hisauto.testing.rehearsal.rehearse import facts_beside

from .common import ROOT, faults, player, rehearsal

NAMES = [path.stem for path in runbooks_of(ROOT / "runbooks")]
TESTS = [(name, test.test) for name in NAMES for test in rehearsal(name).facts.tests]
SAMPLE = 12
"""Single faults of a test that are played each time; all, and pairs, with HISAUTO_TORTURE=1."""


def test_each_has_tests() -> None:
    assert [path.stem for path in runbooks_of(ROOT / "runbooks") if not facts_beside(path).is_file()] == []


@pytest.mark.parametrize(("name", "test"), TESTS)
def test_undisturbed_it_ends_as_it_should(tmp_path: Path, name: str, test: str) -> None:
    with player(name, test, tmp_path) as play:
        played = play.play(Schedule())
    assert (played.violations, played.end) == ([], play.test.end), "\n".join(played.story)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not os.environ.get("HISAUTO_TORTURE"), reason="long: HISAUTO_TORTURE=1")
@pytest.mark.parametrize("name", NAMES)
def test_no_law_is_broken(name: str) -> None:
    for explored in rehearsal(name).play(Bounds()):
        worst = explored.counterexamples[0] if explored.counterexamples else None
        assert worst is None, "\n".join([str(worst.schedule), *worst.violations, *worst.story])
        assert len(explored.singles) == explored.all_singles


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_breaks_no_law(name: str) -> None:
    first = rehearsal(name).facts.tests[0].test
    (explored,) = rehearsal(name).play(Bounds(faults=1, schedules=SAMPLE, workers=2), test=first)
    assert explored.wrong == []
    assert [played.violations for played in explored.counterexamples] == []
    assert len(explored.singles) == SAMPLE < explored.all_singles


def test_a_fence_that_failed_is_undone_and_the_way_back_is_told(tmp_path: Path) -> None:
    with player("database-failover", "PostgreSQL on the primary is dead", tmp_path) as play:
        calm = play.play(Schedule())
        (lost,) = faults(calm, "Promote the standby", How.unreachable)
        played = play.play(lost)
    assert (played.end, played.undone, played.violations) == ("rolled_back", ["Stop it and keep it down (db1)"], [])
    assert any("***" in line for line in played.story)
