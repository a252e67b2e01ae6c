"""Who counts for which role: each person for one of theirs at most, so that as many places as can be are filled."""

from __future__ import annotations

from collections.abc import Mapping, Set


def assign(places: Mapping[str, int], people: Mapping[str, Set[str]]) -> dict[str, int]:
    """How many places of each role can be filled at once by these people, who have these roles.

    A maximum bipartite matching by augmenting paths, and the same one whatever the order of the arguments.
    """
    slots = [(role, number) for role in sorted(places) for number in range(places[role])]
    taken: dict[tuple[str, int], str] = {}

    def place(person: str, tried: set[tuple[str, int]]) -> bool:
        for slot in slots:
            if slot[0] in people[person] and slot not in tried:
                tried.add(slot)
                if slot not in taken or place(taken[slot], tried):
                    taken[slot] = person
                    return True
        return False

    for person in sorted(people):
        place(person, set())
    filled = dict.fromkeys(places, 0)
    for role, _ in taken:
        filled[role] += 1
    return filled
