"""Laws of counting: batches, percentages, and truth over hosts of which some can't be told."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from hisauto.engine.batches import amount, batches
from hisauto.model.action import Observation
from hisauto.plan.look import HostSeen, count
from hisauto.runbook.expressions import Truth
from hisauto.testing.clock import VirtualClock
from hisauto.testing.hosts import Fault

from .play import Play

SIZES = st.lists(st.one_of(st.integers(0, 9).map(str), st.integers(0, 100).map(lambda n: f"{n}%")), min_size=1)


@given(units=st.lists(st.text(min_size=1), unique=True, max_size=40), sizes=SIZES)
def test_batches_cut_all_units_in_order_and_the_last_size_repeats(units: list[str], sizes: list[str]) -> None:
    cut = batches(units, sizes)
    assert [unit for batch in cut for unit in batch] == units
    wanted = [amount(size, len(units)) for size in sizes]
    for n, batch in enumerate(cut):
        full = wanted[min(n, len(wanted) - 1)]
        assert len(batch) == full or (n == len(cut) - 1 and 0 < len(batch) < full)


@given(percent=st.integers(0, 100), total=st.integers(0, 1000), least=st.integers(0, 1))
def test_percentages_are_rounded_down(percent: int, total: int, least: int) -> None:
    found = amount(f"{percent}%", total, least=least)
    assert found == least or (found * 100 <= percent * total < (found + 1) * 100)


@given(
    truths=st.lists(st.sampled_from(list(Truth)), min_size=1, max_size=6),
    rule=st.sampled_from(["all", "exactly", "at_least"]),
    number=st.integers(0, 7),
)
def test_a_count_holds_or_not_only_if_it_would_whatever_the_unknown_are(
    truths: list[Truth], rule: str, number: int
) -> None:
    seen = [HostSeen(f"h{n}", truth, "", Observation(True)) for n, truth in enumerate(truths)]
    told, _ = count(
        seen, exactly=number if rule == "exactly" else None, at_least=number if rule == "at_least" else None
    )
    every = set()
    for guess in product([True, False], repeat=truths.count(Truth.unknown)):
        left = iter(guess)
        high = sum(next(left) if truth is Truth.unknown else truth is Truth.true for truth in truths)
        every.add(high == number if rule == "exactly" else high >= (len(truths) if rule == "all" else number))
    assert told is (Truth.unknown if len(every) == 2 else Truth.true if every == {True} else Truth.false)


def test_at_most_max_failures_and_a_batch_fail_and_those_in_flight_are_settled(play: Play) -> None:
    run = play.request("    steps:\n      - {name: One, hosts: app, batch: 2, set: {one: 1}}\n")
    for host in ("app1", "app2"):
        play.world.hosts[host].fault(f"1[{host}]", Fault(rc=1, takes=5))
    assert play.drive(run) == "failed"
    assert {host for host, _, _ in play.world.moves} == {"app1", "app2"}
    assert play.states(run) == {"1[app1]#1": "failed", "1[app2]#1": "failed"}


@given(passed=st.floats(min_value=0, max_value=1e6), left=st.floats(min_value=0, max_value=1, exclude_min=True))
def test_whoever_sleeps_on_a_virtual_clock_gets_on(passed: float, left: float) -> None:
    """Also for the 1e-16 s that a rounding leaves: who waits until then would wait for ever."""
    clock = VirtualClock()
    clock.sleep(passed)
    before = clock.monotonic()
    clock.sleep(left)
    assert clock.monotonic() > before
