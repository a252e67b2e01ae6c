"""The real actions on hosts in memory: their fields, checks and looks are the real ones, what they do is a table.

A row says what a rendered action means: which values it puts into its host's state, or which value it looks at and what
it reads out of that. A row is found by the action's kind and its rendered text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel

from hisauto import actions
from hisauto.model.action import Action, Call, Needs, Observation, Place, Purpose
from hisauto.model.transport import Completed, Script
from hisauto.testing.actions import ACTIONS

Told = Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Put:
    """An act. Keys and values may hold groups of the row's pattern: ``\\1``."""

    values: Mapping[str, str]
    told: Mapping[str, Any]


@dataclass(frozen=True)
class See:
    """A look at one key; groups as in ``Put``."""

    key: str
    told: Told


Row = tuple[str, str, Put | See]
"""Kind, pattern, meaning. The first that is found counts."""


class Standin(Action):
    """One of the real actions, as far as a runbook can tell."""

    name: ClassVar[str] = ""
    fields: ClassVar[type[BaseModel]] = BaseModel
    scalar: ClassVar[str | None] = None
    can_look: ClassVar[bool] = False
    returns: ClassVar[Mapping[str, str]] = {}
    default_expect: ClassVar[str | None] = None

    def __init__(self, real: Action, rows: Sequence[Row]) -> None:
        self.real, self.rows = real, [(pattern, means) for kind, pattern, means in rows if kind == real.name]
        for name in ("name", "fields", "scalar", "can_look", "own_look", "opaque", "returns", "default_expect"):
            setattr(self, name, getattr(real, name))
        self.secret_fields = frozenset(getattr(real, "secret_fields", ()))

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return self.real.changes(fields, purpose)

    def needs(self, fields: BaseModel) -> Needs:
        return Needs()  # there is no folder with roles and files

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        means, found = self._meaning(fields)
        if isinstance(means, See):
            return Call(Script(json.dumps({"look": found.expand(means.key)})))
        values = {found.expand(key): found.expand(value) for key, value in means.values.items()}
        return Call(Script(json.dumps({"set": values})))

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        if done.how != "exit":
            return Observation(False, why=f"it was ended by {done.how}")
        means, _ = self._meaning(fields)
        told = means.told(json.loads(done.out)["value"]) if isinstance(means, See) else means.told
        return Observation(True, told)

    def _meaning(self, fields: BaseModel) -> tuple[Put | See, re.Match[str]]:
        text = written(fields)
        for pattern, means in self.rows:
            if found := re.search(pattern, text):
                return means, found
        raise AssertionError(f"nobody says what this means here: {self.real.name}: {text}")


def written(fields: BaseModel) -> str:
    """An action's fields as one line."""
    values = [" ".join(v) if isinstance(v, tuple) else v for v in fields.model_dump(exclude_defaults=True).values()]
    return " ".join(" ".join(value.split()) if isinstance(value, str) else json.dumps(value) for value in values)


def standins(rows: Sequence[Row]) -> dict[str, Action]:
    """Every real action as this table has it, and those of the world in memory beside them."""
    return {**ACTIONS, **{name: Standin(real, rows) for name, real in _real().items()}}


_real = cache(actions.load)
