"""kill -9 of a node at every boundary of a run: every effect once, the end as if nothing had happened, the log whole.

A seeded sample; HISAUTO_TORTURE=1 takes all boundaries.
"""

from __future__ import annotations

import os
import random
import signal

import pytest

from .campaign import Campaign
from .conftest import Campaigns
from .results import Pass
from .scenarios import SCENARIOS
from .way import Death, Deaths

WHOLE = bool(os.environ.get("HISAUTO_TORTURE"))
SAMPLE = 3
AGAIN = 40
"""A second death comes up to so many boundaries after the first."""

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200 if WHOLE else 300)]


def chosen(campaign: Campaign, how: signal.Signals, chance: random.Random, sample: int) -> list[tuple[Deaths, str]]:
    """A death at each boundary, every other one followed by that of the next life; and what the boundary is."""
    every = campaign.boundaries if WHOLE else chance.sample(campaign.boundaries, sample)
    found: list[tuple[Deaths, str]] = []
    for n, (life, at, what) in enumerate(every):
        again: dict[int, Death] = {life + 1: (chance.randint(1, AGAIN), how)} if n % 2 else {}
        found.append(({life: (at, how), **again}, what))
    return found


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_at_a_boundary(campaign: Campaigns, scenario: str, database: str) -> None:
    played = campaign(scenario, database)
    with Pass("killed", played, database) as done:
        for deaths, _ in chosen(played, signal.SIGKILL, random.Random(f"{scenario} {database}"), SAMPLE):
            done.add(played.trial(deaths))
    assert done.wrong == []


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
def test_stopped_taken_over_and_woken(campaign: Campaigns, scenario: str) -> None:
    """Every other time it wakes in the middle of the other's work, and else when that is done."""
    played = campaign(scenario, "postgresql")
    with Pass("stopped", played, "postgresql") as done:
        for deaths, _ in chosen(played, signal.SIGSTOP, random.Random(f"{scenario} stop"), SAMPLE):
            done.add(played.trial(deaths))
    assert done.wrong == []


def test_a_new_boundary_is_found_by_itself(campaign: Campaigns) -> None:
    known, grown = (campaign("service-restart", "sqlite", plant).boundaries for plant in ("", "one more commit"))
    moves = sum(what.startswith("before commit: StoreJournal.move") for _, _, what in known)
    assert moves > 2
    assert len(grown) == len(known) + 2 * moves


PLANTED = [
    ("late intent", "sqlite", signal.SIGKILL, "after lb1.act 1[app1].1[lb1]#1:"),
    ("any epoch", "postgresql", signal.SIGSTOP, "after commit: StoreJournal.record"),
]


@pytest.mark.parametrize(("plant", "database", "how", "where"), PLANTED, ids=[plant for plant, *_ in PLANTED])
def test_a_fault_is_noticed(campaign: Campaigns, plant: str, database: str, how: signal.Signals, where: str) -> None:
    """Two of the usual ones: the intent that is written too late, and the driver that doesn't know it is superseded."""
    played = campaign("service-restart", database, plant)
    life, at, _ = next(found for found in played.boundaries if found[2].startswith(where))
    assert played.trial({life: (at, how)}).wrong != []
