"""The world as facts have it: a few variables of each host, what looks make of them, and what actions make them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from hisauto.errors import HisautoError
from hisauto.model.yamltext import Path
from hisauto.runbook.expressions import Truth, evaluate, render, render_value
from hisauto.runbook.source import Source
from hisauto.testing.rehearsal.facts import Effect, Fact, Facts, Test

WELL: Mapping[str, Mapping[str, Any]] = {
    **{kind: {"rc": 0, "stdout": "", "stderr": ""} for kind in ("command", "shell", "script")},
    "sql": {"rc": 0, "refused": False, "error": "", "rows": []},
    "http": {"status": 200, "refused": False, "body": ""},
    "power": {"rc": 0},
    **{kind: {"rc": 0, "ok": 1, "changed": 1, "failed": 0, "unreachable": 0, "skipped": 0, "tasks": []}
       for kind in ("role", "module", "playbook")},
    **{kind: {"rc": 0, "changed": True} for kind in ("copy", "template")},
}  # fmt: skip
"""What an action returns that went well."""
BADLY: Mapping[str, Mapping[str, Any] | None] = {
    **{kind: {"rc": 1, "stdout": "", "stderr": "it failed"} for kind in ("command", "shell", "script")},
    "sql": {"rc": 3, "refused": False, "error": "it failed"},
    "http": {"status": 500, "refused": False, "body": ""},
    "power": None,  # a controller that fails may have switched all the same: nobody can tell
    **{kind: {"rc": 2, "ok": 0, "changed": 0, "failed": 1, "unreachable": 0, "skipped": 0, "tasks": []}
       for kind in ("role", "module", "playbook")},
    **{kind: {"rc": 1, "changed": False} for kind in ("copy", "template")},
}  # fmt: skip
"""What an action returns that failed; None: it can't be told."""
TEXTS = frozenset({"stdout", "stderr", "body", "error", "state"})
F = TypeVar("F", bound=Fact)


class Unanswered(HisautoError):
    """The world was asked what no fact answers: the rehearsal fails, whatever comes of it."""


class Model:
    """The state of every host in one schedule."""

    def __init__(self, facts: Facts, source: Source, test: Test) -> None:
        self.facts, self.source = facts, source
        self.state = facts.spread(facts.state)
        for host, more in facts.spread(test.state).items():
            self.state[host] |= more
        self.vars = facts.spread(facts.vars)
        self.first = copy.deepcopy(self.state)
        self.holes: list[str] = []
        """What no fact answered, and what went wrong in one."""

    # ---------------------------------------------------------------- questions
    def names(self, host: str | None, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a fact's expressions see."""
        return {
            **self.state,
            "state": self.state,
            "here": self.state.get(host or "", {}),
            "host": host,
            "vars": self.vars.get(host or "", {}),
            "fields": fields or {},
        }

    def holds(self, expression: str, path: Path, names: Mapping[str, Any]) -> bool:
        """Raises ``Unanswered`` for what is neither true nor false."""
        answer = evaluate(expression, names)
        if answer.truth is Truth.unknown:
            raise self._hole(f"{self._at(path)}: {expression}: {answer.why}")
        return answer.truth is Truth.true

    def up(self, host: str) -> bool:
        return self.facts.up is None or self.holds(self.facts.up, ("up",), self.names(host))

    def reachable(self, host: str) -> bool:
        expression = self.facts.reachable
        return self.up(host) and (expression is None or self.holds(expression, ("reachable",), self.names(host)))

    def answer(self, kind: str, fields: Mapping[str, Any], host: str | None) -> dict[str, Any] | None:
        """What a look brings back; None: it can't be told. Raises ``Unanswered``."""
        found = self._first("answers", self.facts.answers, kind, fields, host)
        if found is None:
            raise self._missing(kind, fields, host, "answers")
        n, fact = found
        names = self.names(host, fields)
        if fact.silent is not None and self.holds(fact.silent, ("answers", n, "silent"), names):
            return None
        return self._said(kind, WELL.get(kind, {}), fact.says, ("answers", n, "says"), names)

    def effect(self, kind: str, fields: Mapping[str, Any], host: str | None) -> tuple[int, Effect]:
        """What an action does, and its number. Raises ``Unanswered``."""
        found = self._first("effects", self.facts.effects, kind, fields, host)
        if found is None:
            raise self._missing(kind, fields, host, "effects")
        return found

    def at_once(self, kind: str, fields: Mapping[str, Any], host: str | None) -> bool:
        """Whether an action's effect is there as soon as it ends. What no fact knows is not known to be so."""
        found = self._first("effects", self.facts.effects, kind, fields, host)
        return found is not None and found[1].at_once is not None

    def refuses(self, kind: str, fields: Mapping[str, Any], host: str | None) -> bool:
        """Whether an action that is sent now ends with an error."""
        n, effect = self.effect(kind, fields, host)
        return effect.fails is not None and self.holds(effect.fails, ("effects", n, "fails"), self.names(host, fields))

    def said(self, kind: str, fields: Mapping[str, Any], host: str | None, *, well: bool) -> dict[str, Any] | None:
        """What an action says at its end; None: that can't be told."""
        if not well:
            bad = BADLY.get(kind, {"rc": 1})
            return dict(bad) if bad is not None else None
        n, effect = self.effect(kind, fields, host)
        return self._said(kind, WELL.get(kind, {}), effect.says, ("effects", n, "says"), self.names(host, fields))

    # ---------------------------------------------------------------- changes
    def apply(self, kind: str, fields: Mapping[str, Any], host: str | None) -> list[tuple[str, str, Any]]:
        """Make it so. What has changed: host, variable, value."""
        n, effect = self.effect(kind, fields, host)
        names, changed = self.names(host, fields), []
        for target, value in effect.then.items():
            path: Path = ("effects", n, "then", target)
            try:
                where, _, variable = render(target, names).rpartition(".")
                new = render_value(value, names)
            except HisautoError as error:
                raise self._hole(f"{self._at(path)}: {error}") from None
            where = (host or "") if where == "here" else where
            if variable not in self.state.get(where, {}):
                raise self._hole(f"{self._at(path)}: there is no {where}.{variable} in the state")
            changed.append((where, variable, new))
        for where, variable, new in changed:
            self.state[where][variable] = new
        return changed

    def differences(self) -> list[tuple[str, str]]:
        """``HOST.VARIABLE`` that is not as it was at the beginning, and how it is."""
        return [
            (f"{host}.{name}", f"{value} (it was {self.first[host][name]})")
            for host, state in self.state.items()
            for name, value in state.items()
            if value != self.first[host][name]
        ]

    def broken(self) -> list[str]:
        """Every ``never`` of the file that is so now."""
        names = self.names(None)
        return [n.name for i, n in enumerate(self.facts.never) if self.holds(n.expect, ("never", i, "expect"), names)]

    # ---------------------------------------------------------------- matching
    def _first(
        self, word: str, facts: tuple[F, ...], kind: str, fields: Mapping[str, Any], host: str | None
    ) -> tuple[int, F] | None:
        for n, fact in enumerate(facts):
            if fact.sent.kind != kind or not all(_fits(p, fields.get(f)) for f, p in fact.sent.fields.items()):
                continue
            if fact.hosts and not any(host == h or host in self.facts.hosts.get(h, ()) for h in fact.hosts):
                continue
            if fact.when is None or self.holds(fact.when, (word, n, "when"), self.names(host, fields)):
                return n, fact
        return None

    def _said(
        self, kind: str, usual: Mapping[str, Any], says: Mapping[str, Any], path: Path, names: Mapping[str, Any]
    ) -> dict[str, Any]:
        try:
            said = {**usual, **{name: render_value(value, names) for name, value in says.items()}}
        except HisautoError as error:
            raise self._hole(f"{self._at(path)}: {error}") from None
        for name in TEXTS & said.keys():
            said[name] = _text(said[name])
        if kind in ("command", "shell", "script"):
            said["stdout_lines"] = said["stdout"].splitlines()
        if kind == "sql":
            if "row" in says:
                said["rows"] = [said["row"]]
            said["rowcount"] = len(said["rows"])
            if said["rows"]:
                said["row"] = said["rows"][0]
        if kind == "http" and said["refused"]:
            said["status"] = 0
        return said

    def _missing(self, kind: str, fields: Mapping[str, Any], host: str | None, word: str) -> Unanswered:
        what = "answers this look" if word == "answers" else "says what this changes"
        return self._hole(f"no fact {what}: {kind}: {shown(kind, fields)} (at {host or 'the node'})")

    def _hole(self, why: str) -> Unanswered:
        if why not in self.holes:
            self.holes.append(why)
        return Unanswered(why)

    def _at(self, path: Path) -> str:
        document = self.source.document
        line, column = document.at(self.source.written(path))
        return f"{document.file}:{line}:{column}"


def shown(kind: str, fields: Mapping[str, Any]) -> str:
    """An action's fields, as short as they can be told from others."""
    given = {name: _line(value) for name, value in fields.items() if value not in (None, {}, [], ())}
    return next(iter(given.values())) if len(given) == 1 else ", ".join(f"{n}={v}" for n, v in given.items())


def _fits(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(_fits(p, value.get(name)) for name, p in pattern.items())
    return fnmatchcase(_line(value), _line(pattern))


def _line(value: Any) -> str:
    """A field on one line: what patterns are held against."""
    if isinstance(value, list | tuple):
        return " ".join(map(_line, value))
    return " ".join(_text(value).split())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
