"""What was done to the hosts, in order, against what was expected.

A move is a line: ``db1 service=stopped`` for an act, ``db1 ? service`` for a look. Expected is a list in order; a list
in it is a group of strands side by side, in any order among each other; a list in a group is a strand of several moves
in order; and so on. A look that is repeated until it has its answer is one look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LOOK = " ? "
"""Between the host and what is looked at."""

Expected = str | Sequence["Expected"]
"""A move, or a list: in order at the top, side by side within, in order within that."""


@dataclass(frozen=True)
class _Move:
    line: str
    begun: bool = False
    """A look that was seen once: it may be repeated."""


@dataclass(frozen=True)
class _Series:
    parts: tuple[_Part, ...]


@dataclass(frozen=True)
class _Group:
    parts: tuple[_Part, ...]


_Part = _Move | _Series | _Group


def differences(expected: Sequence[Expected], seen: Sequence[str]) -> list[str]:
    """Where ``seen`` leaves ``expected``: nothing, or one line that says where, and what came instead."""
    states: set[_Part] = {_compile(expected, series=True)}
    for n, line in enumerate(seen):
        further = {after for state in states for after in _after(state, line)}
        if not further:
            wanted = sorted({move for state in states for move in _next(state)})
            return [f"move {n + 1} is '{line}', expected: {' or '.join(wanted) or 'no further move'}"]
        states = further
    if any(_finished(state) for state in states):
        return []
    wanted = sorted({move for state in states for move in _next(state)})
    return [f"after {len(seen)} moves there was no further one, expected: {' or '.join(wanted)}"]


def lines(expected: Sequence[Expected]) -> Iterator[str]:
    """Every move in it."""
    for part in expected:
        if isinstance(part, str):
            yield part
        else:
            yield from lines(part)


def _compile(expected: Expected, *, series: bool) -> _Part:
    if isinstance(expected, str):
        return _Move(expected)
    parts = tuple(_compile(part, series=not series) for part in expected)
    return _Series(parts) if series else _Group(parts)


def _finished(part: _Part) -> bool:
    """Whether nothing more has to come."""
    return part.begun if isinstance(part, _Move) else all(map(_finished, part.parts))


def _after(part: _Part, line: str) -> Iterator[_Part]:
    """What is left to come after this move; nothing if it can't come here."""
    if isinstance(part, _Move):
        if part.line == line:
            yield _Move(line, begun=True) if LOOK in line else _Series(())
    elif isinstance(part, _Group):
        for n, one in enumerate(part.parts):
            for after in _after(one, line):
                yield _Group((*part.parts[:n], after, *part.parts[n + 1 :]))
    else:
        for n, one in enumerate(part.parts):
            for after in _after(one, line):
                yield _Series((after, *part.parts[n + 1 :]))
            if not _finished(one):
                return


def _next(part: _Part) -> Iterator[str]:
    """The moves that have to come next."""
    if isinstance(part, _Move):
        if not part.begun:
            yield part.line
    elif isinstance(part, _Group):
        for one in part.parts:
            yield from _next(one)
    else:
        for one in part.parts:
            if not _finished(one):
                yield from _next(one)
                return
