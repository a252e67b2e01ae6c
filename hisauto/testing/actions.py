"""The two things that can be done to a host in memory: change its state, and look at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from hisauto.model.action import Action, Call, Observation, Place, Purpose
from hisauto.model.transport import Completed, Script


class SetFields(BaseModel):
    """Key and value as they stand in the runbook: ``set: {service: stopped}``."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Set:
    """Put values into the host's state."""

    name: ClassVar[str] = "set"
    fields: ClassVar[type[BaseModel]] = SetFields
    scalar: ClassVar[str | None] = None
    can_look: ClassVar[bool] = False
    preview: ClassVar[bool] = False
    returns: ClassVar[Mapping[str, str]] = {"rc": "number: the exit code"}
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return True

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        return Call(Script(json.dumps({"set": fields.model_extra})))

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        return _observed(done, {"rc": done.rc})


class LookFields(BaseModel):
    """One key of the host's state."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str


class Look:
    """Read one value of the host's state; null where there is none."""

    name: ClassVar[str] = "look"
    fields: ClassVar[type[BaseModel]] = LookFields
    scalar: ClassVar[str | None] = "key"
    can_look: ClassVar[bool] = True
    preview: ClassVar[bool] = False
    returns: ClassVar[Mapping[str, str]] = {"value": "whatever was set", "boot": "number: how often it was started"}
    default_expect: ClassVar[str | None] = None

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return False

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, LookFields)
        return Call(Script(json.dumps({"look": fields.key})))

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        return _observed(done, json.loads(done.out or b"{}"))


def _observed(done: Completed, values: Mapping[str, Any]) -> Observation:
    if done.how != "exit":
        return Observation(False, why=f"it was ended by {done.how}")
    return Observation(True, values, why=done.err.decode())


ACTIONS: Mapping[str, Action] = {action.name: action for action in (Set(), Look())}
