"""What can be done to a host in memory: change its state, blindly or with a look of its own, and look at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from hisauto.model.action import Action, Call, Observation, OwnLook, Place, Purpose
from hisauto.model.transport import Completed, Script


class SetFields(BaseModel):
    """Key and value as they stand in the runbook: ``set: {service: stopped}``."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Set(Action):
    """Put values into the host's state."""

    name: ClassVar[str] = "set"
    fields: ClassVar[type[BaseModel]] = SetFields
    scalar: ClassVar[str | None] = None
    can_look: ClassVar[bool] = False
    returns: ClassVar[Mapping[str, str]] = {"rc": "number: the exit code"}
    secret_fields: ClassVar[frozenset[str]] = frozenset({"key", "token"})
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return True

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        return Call(Script(json.dumps({"set": fields.model_extra})))

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        return _observed(done, {"rc": done.rc})


class PutFields(BaseModel):
    """One key of the host's state, and what it shall be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    value: str


class Put(Action):
    """Like ``copy`` to a real host: it looks by itself whether there is anything left to do."""

    name: ClassVar[str] = "put"
    fields: ClassVar[type[BaseModel]] = PutFields
    scalar: ClassVar[str | None] = None
    can_look: ClassVar[bool] = False
    own_look: ClassVar[OwnLook | None] = OwnLook("not changed", settles=True)
    returns: ClassVar[Mapping[str, str]] = {"rc": "number: the exit code", "changed": "flag"}
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return purpose == "change"

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, PutFields)
        return Call(
            Script(json.dumps({"look": fields.key} if purpose == "look" else {"set": {fields.key: fields.value}}))
        )

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        assert isinstance(fields, PutFields)
        there = json.loads(done.out or b"{}").get("value") == fields.value
        return _observed(done, {"rc": done.rc, "changed": purpose == "change" or not there})


class LookFields(BaseModel):
    """One key of the host's state."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str


class Look(Action):
    """Read one value of the host's state; null where there is none."""

    name: ClassVar[str] = "look"
    fields: ClassVar[type[BaseModel]] = LookFields
    scalar: ClassVar[str | None] = "key"
    can_look: ClassVar[bool] = True
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


ACTIONS: Mapping[str, Action] = {action.name: action for action in (Set(), Put(), Look())}
