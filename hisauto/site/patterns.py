"""Ansible's host patterns, over an inventory and the host sets of a runbook.

The rules are those of ``ansible.inventory.manager`` (ansible-core 2.19), down to its oddities; importing that would
cost 0.4 s a command. Two differences, both towards saying no: a name that nothing bears is an error and not a warning,
also behind ``!`` and ``&``; and there is no ``localhost`` unless the inventory has one.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from hisauto.errors import NotFound, UsageError
from hisauto.model.problems import did_you_mean


class Hosts(Protocol):
    """What a pattern is resolved against."""

    @property
    def hosts(self) -> Mapping[str, object]: ...

    @property
    def groups(self) -> Mapping[str, Sequence[str]]: ...


_SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]")
_WORD = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_HOST_PORT = re.compile(r"\w[\w.-]*(?:\[[^\]]*\])?:[0-9]+")
_GLOB = re.compile(r"[.?*\[]")


def resolve(pattern: str, inventory: Hosts, names: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The hosts of ``pattern``, each once: unions in the order written, then ``&``, then ``!``.

    ``names`` are further groups, and win over groups of the same name. An empty result is a result.
    Raises ``NotFound`` for an unknown name or an index past the end, ``UsageError`` for a bad regular expression.
    """
    groups = {**inventory.groups, **(names or {})}
    found: list[str] = []
    for part in _ordered(split(pattern)):
        if part in inventory.hosts and part not in (names or {}):
            found.append(part)
            continue
        matched = _match_one(part.lstrip("&!") if part[0] in "&!" else part, pattern, inventory.hosts, groups)
        if part[0] == "!":
            found = [host for host in found if host not in matched]
        elif part[0] == "&":
            found = [host for host in found if host in matched]
        else:
            found += matched
    return list(dict.fromkeys(found))


def split(pattern: str) -> list[str]:
    """Single patterns: at commas if there are any, else at colons, except those of IPv6 and ``[x:y]``."""
    if "," in pattern:
        parts = pattern.split(",")
    elif _HOST_PORT.fullmatch(pattern) or _is_ipv6(pattern):
        parts = [pattern]
    else:
        parts = _WORD.findall(pattern)
    return [part.strip() for part in parts if part.strip()]


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _ordered(parts: Iterable[str]) -> list[str]:
    by_mark: dict[str, list[str]] = {"": [], "&": [], "!": []}
    for part in parts:
        by_mark[part[0] if part[0] in "&!" else ""].append(part)
    return (by_mark[""] or ["all"]) + by_mark["&"] + by_mark["!"]


def _match_one(
    part: str, pattern: str, hosts: Mapping[str, object], groups: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    if not part:
        raise UsageError(f"the host pattern {pattern!r} has a mark (! or &) with no name behind it")
    subscript = None if part[0] == "~" else _SUBSCRIPT.fullmatch(part)
    if subscript is None:
        return _named(part, pattern, hosts, groups)
    named = _named(subscript[1], pattern, hosts, groups)
    index, start, end = subscript[2], subscript[3], subscript[4]
    if not named:
        return named
    try:
        if index is not None:
            return [named[int(index)]]
        if end and int(end) == 0:  # Ansible reads [3:0] as [3]
            return [named[int(start)]]
    except IndexError:
        raise NotFound(f"{part!r} asks for more than the {len(named)} hosts of {subscript[1]!r}") from None
    return named[int(start) : int(end) + 1 if end else len(named)]


def _named(part: str, pattern: str, hosts: Mapping[str, object], groups: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Hosts of the groups that match; hosts that match themselves, when no group does or the name may mean several."""
    try:
        matches = re.compile(part[1:] if part[0] == "~" else fnmatch.translate(part)).match
    except re.error as error:
        raise UsageError(f"the host pattern {pattern!r} is not a regular expression: {error}") from None
    in_groups = [group for group in groups if matches(group)]
    found = [host for group in in_groups for host in groups[group]]
    several = part[0] == "~" or _GLOB.search(part) is not None
    if not in_groups or several:
        found += [host for host in hosts if matches(host)]
    if not found and not in_groups and (part[0] != "~" and not re.search(r"[?*\[]", part)):
        where = "" if part == pattern else f" (in {pattern!r})"
        hint = did_you_mean(part, [*groups, *hosts])
        raise NotFound(f"no host or group is called {part!r}{where}", hint=hint or None)
    return found
