"""Which names an expression, a template or a host pattern may use where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from hisauto.errors import Invalid
from hisauto.model.problems import Problem, did_you_mean
from hisauto.model.yamltext import Path
from hisauto.runbook.documents import HostSet, Param
from hisauto.runbook.expressions import Reference, references
from hisauto.runbook.source import Source

Fields = Set[str] | None
"""What can be taken from a name; None: anything, it isn't known here."""

_ALWAYS: Mapping[str, Fields] = {"hostvars": None, "secrets": None}
_UNIT: Mapping[str, Fields] = {"host": None, "here": None, "vars": None, "batch": {"number"}}
_ITEM: Mapping[str, Fields] = {"item": None, "batch": {"number"}}
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_SLICE = re.compile(r"(.+)\[(-?\d+|-?\d*:-?\d*)\]")
_ONE = re.compile(r"(.+)\[-?\d+\]")


@dataclass(frozen=True)
class Context:
    """Where a text stands."""

    placed: bool = False
    """On a host: ``host``, ``here``, ``vars`` and ``batch`` are there."""
    each: bool = False
    """For an item of a list: ``item`` and ``batch`` are there."""
    running: bool = False
    """In a run, not in its planning: ``run`` is there."""
    extra: Mapping[str, Fields] = field(default_factory=dict)
    """Names of this place alone: what a look returned, ``before``."""


@dataclass
class Names:
    """The names known so far, in the order of the file; what is wrong is collected in ``problems``."""

    source: Source
    params: Mapping[str, Param]
    all_sets: Mapping[str, HostSet]
    groups: Set[str] | None = None
    hosts: Set[str] | None = None
    """Of the inventory; None: it isn't known, and names are not checked against it."""
    sets: dict[str, HostSet] = field(default_factory=dict)
    registered: dict[str, Fields] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def expression(self, text: str | None, path: Path, context: Context) -> None:
        """Check an expression."""
        if text is not None:
            self._check(lambda: references(text), path, context)

    def template(self, text: str, path: Path, context: Context) -> None:
        """Check a text's ``{{ }}``."""
        self._check(lambda: references(text, template=True), path, context)

    def value(self, value: Any, path: Path, context: Context) -> None:
        """Check every text in nested JSON."""
        if isinstance(value, str):
            self.template(value, path, context)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.value(item, (*path, str(key)), context)
        elif isinstance(value, list | tuple):
            for n, item in enumerate(value):
                self.value(item, (*path, n), context)

    def pattern(self, text: str | None, path: Path, context: Context) -> None:
        """Check a host pattern: its templates, and the names in it as far as they are fixed."""
        if text is None:
            return
        self.template(text, path, context)
        for token in _tokens(text):
            name = match[1] if (match := _SLICE.fullmatch(token)) else token
            if not name or "\0" in name or name.startswith("~") or set(name) & set("*?[") or name in self.sets:
                continue
            if name in self.all_sets:
                message = f"host pattern: {name!r} is defined below; a name can use the ones above it"
                self.problems.append(self.source.problem(path, "HA113", message))
            elif self.groups is not None and self.hosts is not None:
                known = {*self.groups, *self.hosts, "all", "ungrouped", "localhost"}
                if name not in known:
                    hint = did_you_mean(name, [*self.sets, *sorted(known)])
                    message = f"host pattern: there is no host, group or name {name!r}"
                    self.problems.append(self.source.problem(path, "HA113", message, hint))

    def one_host(self, pattern: str) -> bool:
        """Whether a pattern is one host by what is written. Without an inventory a bare name gets the benefit."""
        if match := re.fullmatch(r"\{\{\s*(?:(hosts|params)\.(\w+)|(host|here))\s*\}\}", pattern):
            kind, name, _ = match.groups()
            if kind == "hosts":
                return name in self.all_sets and self.all_sets[name].exactly == 1
            return kind is None or (name in self.params and self.params[name].type == "host")
        if re.fullmatch(r"\{\{\s*hosts\.\w+\[-?\d+\]\s*\}\}", pattern) or _ONE.fullmatch(pattern):
            return True
        if pattern in self.all_sets:
            return self.all_sets[pattern].exactly == 1
        if self.hosts is not None and self.groups is not None:
            return pattern in self.hosts or pattern == "localhost"
        return re.fullmatch(r"[\w.-]+", pattern) is not None

    def _check(self, read: Callable[[], frozenset[Reference]], path: Path, context: Context) -> None:
        try:
            found = read()
        except Invalid as error:
            self.problems.append(self.source.problem(path, "HA110", str(error), error.hint or ""))
            return
        for reference in sorted(found, key=str):
            self._reference(reference, path, context)

    def _reference(self, reference: Reference, path: Path, context: Context) -> None:
        root, part = str(reference[0]), reference[1] if len(reference) > 1 else None
        visible = self._visible(context)
        if root not in visible:
            self._unknown(root, path, visible)
            return
        fields = visible[root]
        if fields is None or not isinstance(part, str) or part in fields:
            return
        code, message = {
            "params": ("HA112", f"there is no parameter {part!r}"),
            "hosts": ("HA113", f"there is no name {part!r} under hosts"),
        }.get(root, ("HA111", f"{root!r} has no {part!r}"))
        if root == "hosts" and part in self.all_sets:
            message = f"{part!r} is defined below; a name can use the ones above it"
        self.problems.append(self.source.problem(path, code, message, did_you_mean(part, sorted(fields))))

    def _unknown(self, root: str, path: Path, visible: Mapping[str, Fields]) -> None:
        if root == "before":
            message, code, hint = "'before' is only there in the done_when of a step, beside its look", "HA114", ""
        elif root == "item":
            message, code = "'item' is not there: this is for no item of a list", "HA111"
            hint = "give it, or the block around it, for_each"
        elif root in _UNIT:
            message, code = f"{root!r} is not there: this is not on a host", "HA111"
            hint = "give it, or the block around it, hosts"
        elif root in self.params:
            message, code, hint = f"unknown name {root!r}", "HA111", f"did you mean 'params.{root}'?"
        elif root in self.all_sets:
            message, code, hint = f"unknown name {root!r}", "HA111", f"did you mean 'hosts.{root}'?"
        else:
            message, code, hint = f"unknown name {root!r}", "HA111", did_you_mean(root, sorted(visible))
        self.problems.append(self.source.problem(path, code, message, hint))

    def _visible(self, context: Context) -> dict[str, Fields]:
        names: dict[str, Fields] = {**_ALWAYS, "params": set(self.params), "hosts": set(self.sets), **self.registered}
        if context.each:
            names |= _ITEM
        if context.placed:
            names |= _UNIT
        if context.running:
            names["run"] = None
        return {**names, **context.extra}


def _tokens(pattern: str) -> list[str]:
    """The names of a host pattern; a NUL stands for a template's text."""
    fixed = _TEMPLATE.sub("\0", pattern)
    return [token.strip().lstrip("&!") for token in re.split(r"[:,](?![^\[]*\])", fixed)]
