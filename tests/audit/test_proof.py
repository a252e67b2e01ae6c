"""Inclusion and consistency proofs against the naive reference, and everything that is no proof."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hisauto.audit.merkle import Peaks, leaf_hash
from hisauto.audit.proof import consistency_ranges, consistent, included, inclusion_ranges, subtree_roots
from hisauto.errors import Broken, NotFound

from . import reference

MOST = 70
LEAVES = [f"leaf {number}".encode() for number in range(MOST)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def grown(size: int) -> Peaks:
    peaks = Peaks()
    for leaf in HASHES[:size]:
        peaks = peaks.append(leaf)
    return peaks


ROOTS = [grown(size).root() for size in range(MOST + 1)]
SIZES = [*range(1, 20), 31, 32, 33, 63, 64, 65, MOST]


@pytest.mark.parametrize("size", SIZES)
def test_every_entry_of_every_size_is_proven(size: int) -> None:
    for index in range(size):
        path = subtree_roots(Peaks(), HASHES[:size], inclusion_ranges(index, size))
        assert path == reference.path(index, LEAVES[:size])
        assert included(HASHES[index], index, size, path, ROOTS[size])


@pytest.mark.parametrize("size", SIZES)
def test_every_size_continues_every_one_before(size: int) -> None:
    for old in range(1, size + 1):
        path = subtree_roots(Peaks(), HASHES[:size], consistency_ranges(old, size))
        assert path == reference.proof(old, LEAVES[:size])
        assert consistent(old, ROOTS[old], size, ROOTS[size], path)


@given(st.integers(1, MOST), st.data())
def test_what_is_archived_is_proven_by_its_peaks(size: int, data: st.DataObject) -> None:
    """Proofs about what is still here are the same whether or not what is before it is here."""
    start = data.draw(st.integers(0, size - 1))
    index = data.draw(st.integers(start, size - 1))
    rest = HASHES[start:size]
    assert subtree_roots(grown(start), rest, inclusion_ranges(index, size)) == reference.path(index, LEAVES[:size])
    old = data.draw(st.integers(max(1, start), size))
    assert subtree_roots(grown(start), rest, consistency_ranges(old, size)) == reference.proof(old, LEAVES[:size])


@pytest.mark.parametrize(("start", "index"), [(8, 3), (12, 9), (5, 0)])
def test_a_proof_of_what_is_archived_needs_the_archive(start: int, index: int) -> None:
    with pytest.raises(NotFound, match=f"the log here begins at {start}"):
        subtree_roots(grown(start), HASHES[start:20], inclusion_ranges(index, 20))


def test_a_proof_over_more_than_there_is_can_not_be_made() -> None:
    with pytest.raises(Broken):
        subtree_roots(Peaks(), HASHES[:19], inclusion_ranges(3, 20))


def test_the_empty_tree_is_continued_by_any_and_includes_nothing() -> None:
    assert consistency_ranges(0, 5) == []
    assert consistent(0, ROOTS[0], 5, ROOTS[5], [])
    assert not consistent(0, ROOTS[1], 5, ROOTS[5], []), "that is not the empty tree"
    assert not consistent(0, ROOTS[0], 5, ROOTS[5], [HASHES[0]])
    assert not included(HASHES[0], 0, 0, [], ROOTS[0])


@given(st.integers(1, MOST), st.data())
def test_no_other_path_place_size_leaf_or_root_is_included(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = reference.path(index, LEAVES[:size])
    good = (HASHES[index], index, size, tuple(path), ROOTS[size])
    other = (
        data.draw(st.sampled_from([HASHES[index], *HASHES[:size]])),
        data.draw(st.sampled_from([index, *range(-1, size + 2)])),
        data.draw(st.sampled_from([size, *range(MOST)])),
        tuple(damaged(path, data)),
        data.draw(st.sampled_from([ROOTS[size], *ROOTS])),
    )
    assume(other != good)
    # The tree of a larger size can have the same path to the same leaf; then it has another root.
    assert not included(*other) or (other[0], other[1], other[4]) == (HASHES[other[1]], other[1], ROOTS[other[2]])


@given(st.integers(2, MOST), st.data())
def test_nothing_else_is_consistent(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    path = reference.proof(old, LEAVES[:size])
    assert not consistent(old, ROOTS[old - 1], size, ROOTS[size], path)
    assert not consistent(old, ROOTS[old], size, ROOTS[size - 1], path)
    other = damaged(path, data)
    assume(other != path)
    assert not consistent(old, ROOTS[old], size, ROOTS[size], other)
    assert not consistent(size, ROOTS[size], old, ROOTS[old], path), "a log doesn't shrink"


def damaged(path: list[bytes], data: st.DataObject) -> list[bytes]:
    """A path with a change somewhere; or as it was."""
    how = data.draw(st.sampled_from(["as it was", "shorter", "longer", "another hash", "swapped"]))
    at = data.draw(st.integers(0, max(0, len(path) - 1)))
    match how:
        case "shorter":
            return path[:at] + path[at + 1 :]
        case "longer":
            return [*path[:at], HASHES[0], *path[at:]]
        case "another hash" if path:
            return [*path[:at], leaf_hash(b"another"), *path[at + 1 :]]
        case "swapped":
            return path[::-1]
    return path
