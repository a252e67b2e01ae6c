"""The tree against known answers and against the recursive definition of RFC 6962."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.audit.merkle import Head, Peaks, leaf_hash, node_hash
from hisauto.errors import Broken

from . import reference

# The leaves and roots with which certificate transparency implementations test theirs.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def grown(leaves: list[bytes]) -> Peaks:
    peaks = Peaks()
    for leaf in leaves:
        peaks = peaks.append(leaf_hash(leaf))
    return peaks


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in LEAVES[:size]]
    assert grown(leaves).root().hex() == ROOTS[size]
    assert reference.mth(leaves).hex() == ROOTS[size]


def test_known_node() -> None:
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_the_compact_range_is_the_tree(leaves: list[bytes]) -> None:
    peaks = grown(leaves)
    assert peaks.root() == reference.mth(leaves)
    assert peaks.size == len(leaves)
    assert len(peaks.hashes) == len(leaves).bit_count()


@given(st.lists(st.binary(max_size=40), max_size=40))
def test_a_stored_head_goes_on_as_if_it_had_not_been_stored(leaves: list[bytes]) -> None:
    head = stored = Head()
    for leaf in leaves:
        head, stored = head.append(leaf), Head.from_json(stored.to_json()).append(leaf)
    assert stored == head
    assert head.last == (hashlib.sha256(leaves[-1]).hexdigest() if leaves else "0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 4},
        {"size": -3},
        {"size": "3"},
        {"last": "00"},
        {"last": "g" * 64},
        {"peaks": []},
        {"peaks": ["00", "11"]},
        {"peaks": 7},
    ],
    ids=str,
)
def test_a_damaged_head_is_refused(change: dict[str, object]) -> None:
    stored = Head().append(b"a").append(b"b").append(b"c").to_json()
    assert Head.from_json(stored).size == 3
    with pytest.raises(Broken):
        Head.from_json(stored | change)


def test_a_head_without_a_field_is_refused() -> None:
    with pytest.raises(Broken):
        Head.from_json({"size": 0, "peaks": []})
