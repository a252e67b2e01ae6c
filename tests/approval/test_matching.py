"""The assignment against trying every one."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from hisauto.approval.matching import assign

ROLES = ["duty", "dba", "net"]
PLACES = st.dictionaries(st.sampled_from(ROLES), st.integers(1, 2), min_size=1)
PEOPLE = st.dictionaries(st.sampled_from("abcde"), st.frozensets(st.sampled_from(ROLES)))


def most(places: dict[str, int], people: dict[str, frozenset[str]]) -> int:
    """Let everybody take any of their roles, or none, in every combination."""
    best = 0
    for choice in product(*([None, *roles] for roles in people.values())):
        best = max(best, sum(min(choice.count(role), count) for role, count in places.items()))
    return best


@given(PLACES, PEOPLE)
def test_as_many_places_as_can_be_are_filled(places: dict[str, int], people: dict[str, frozenset[str]]) -> None:
    filled = assign(places, people)
    assert sum(filled.values()) == most(places, people)
    assert filled.keys() == places.keys()
    assert all(filled[role] <= count for role, count in places.items())


@given(PLACES, PEOPLE)
def test_the_order_plays_no_part(places: dict[str, int], people: dict[str, frozenset[str]]) -> None:
    turned = assign(dict(reversed(places.items())), dict(reversed(people.items())))
    assert turned == assign(places, people)


def test_a_person_with_two_roles_counts_for_the_one_that_is_short() -> None:
    both = frozenset({"dba", "duty"})
    assert assign({"dba": 1, "duty": 1}, {"a": both}) == {"dba": 1, "duty": 0}
    assert assign({"dba": 1, "duty": 1}, {"a": both, "b": frozenset({"dba"})}) == {"dba": 1, "duty": 1}
