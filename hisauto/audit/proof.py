"""Merkle proofs (RFC 6962 sections 2.1.1, 2.1.2): made in one pass over the log, checked without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from hisauto.audit.merkle import Peaks, node_hash
from hisauto.errors import Broken, NotFound


def inclusion_ranges(index: int, size: int) -> list[range]:
    """The subtrees whose roots prove that leaf ``index`` is in the tree of ``size``, from the leaf up."""
    begin, end, found = 0, size, list[range]()
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            found.append(range(middle, end))
            end = middle
        else:
            found.append(range(begin, middle))
            begin = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[range]:
    """The subtrees whose roots prove that the tree of ``old`` leaves is the beginning of that of ``size``."""
    if old in (0, size):
        return []
    begin, end, found = 0, size, list[range]()
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            found.append(range(middle, end))
            end = middle
        else:
            found.append(range(begin, middle))
            begin = middle
    return [*([range(begin, end)] if begin else []), *found[::-1]]


def subtree_roots(start: Peaks, leaves: Iterable[bytes], ranges: Sequence[range]) -> list[bytes]:
    """The roots over ``ranges`` of leaves, which are disjoint; read once, and in constant memory.

    ``leaves`` are the leaf hashes behind ``start``; before it only what its peaks tell is known. Raises ``NotFound``
    where that is not enough, ``Broken`` if there are too few leaves.
    """
    rest, position = iter(leaves), start.size
    roots: dict[range, bytes] = {}
    for wanted in sorted(ranges, key=lambda one: one.start):
        peaks = start.within(wanted)
        if peaks.size != max(0, min(wanted.stop, start.size) - wanted.start):
            raise NotFound(f"a proof needs entries from {wanted.start} on, and the log here begins at {start.size}")
        first, last = max(wanted.start, start.size), max(wanted.stop, start.size)
        for leaf in islice(rest, first - position, last - position):
            peaks = peaks.append(leaf)
        position = max(position, last)
        if peaks.size != len(wanted):
            raise Broken(f"the log ends before entry {wanted.stop}")
        roots[wanted] = peaks.root()
    return [roots[wanted] for wanted in ranges]


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` proves that the leaf hash stands at ``index`` of the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf
    for one in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(one, found)
            here, last = _up(here, last)
        else:
            found = node_hash(found, one)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def consistent(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that the old tree is the beginning of the other (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not path and old_root == root
    if not 0 < old < size:  # any tree continues the empty one, if it was that
        return old == 0 and not path and old_root == Peaks().root()
    nodes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not nodes:
        return False
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = nodes[0]
    for one in nodes[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            before, after = node_hash(one, before), node_hash(one, after)
            here, last = _up(here, last)
        else:
            after = node_hash(after, one)
        here, last = here >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _split(size: int) -> int:
    """The largest power of two below ``size``, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _up(here: int, last: int) -> tuple[int, int]:
    """Past the levels on which the node is the last and has no sibling."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last
