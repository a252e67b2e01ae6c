"""Real actions on a world that answers by facts: their fields, their words and their truth, but nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel

from hisauto.model.action import Action, Call, Observation, Place, Purpose
from hisauto.model.transport import Completed, Script

ON_NODE = frozenset({"power", "role", "module", "playbook"})


class Rehearsed:
    """An action that is asked of a model: what it would send goes there, and what the model says is what it reads.

    All else is the real one's: its fields and their checks, what changes, what it expects by default.
    """

    def __init__(self, real: Action) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        sent = {"kind": self.real.name, "fields": fields.model_dump(mode="json", by_alias=True), "host": place.host}
        return Call(Script(json.dumps({"set": sent})), on=self._where(fields, place))

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        if done.how != "exit":
            return Observation(False, why="it ran out of time" if done.how == "timeout" else "it was killed")
        values = json.loads(done.out)
        return Observation(True, values) if values is not None else Observation(False, why=done.err.decode())

    def _where(self, fields: BaseModel, place: Place) -> Literal["host", "node"]:
        direct = self.real.name == "sql" and place.vars.get("sql_via") == "direct"
        from_node = self.real.name == "http" and getattr(fields, "from_", "host") == "node"
        return "node" if place.host is None or direct or from_node or self.real.name in ON_NODE else "host"


def rehearsed(actions: Mapping[str, Action]) -> Mapping[str, Action]:
    """All of them."""
    return {name: cast(Action, Rehearsed(action)) for name, action in actions.items()}
