"""``power``: a host's power, by the site's own command (a BMC, a PDU, a hypervisor), run on the node."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from hisauto.actions.common import NOT_STARTED, Fields, decode, first_line, never_began, spelled, unended, variable
from hisauto.errors import UsageError
from hisauto.model.action import Action, Call, Observation, Place, Purpose, Typed
from hisauto.model.transport import Completed, Script

WHAT = "a list, the command and its arguments; on, off or status is appended"


class PowerFields(Fields):
    """What to do with the power."""

    verb: Literal["on", "off", "status"]


class Power(Action):
    """Switch a host on or off, or ask. The command prints ``on`` or ``off`` as its last line."""

    name: ClassVar[str] = "power"
    fields: ClassVar[type[BaseModel]] = PowerFields
    scalar: ClassVar[str | None] = "verb"
    can_look: ClassVar[bool] = True
    returns: ClassVar[Mapping[str, str]] = {
        "rc": "number: the exit code",
        "state": "text: on or off, if the command says so",
    }
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        assert isinstance(fields, PowerFields)
        return fields.verb != "status"

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, PowerFields)
        return Call(Script(f"exec {shlex.join(_argv(fields, place))}\n"), on="node")

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        assert isinstance(fields, PowerFields)
        return Typed(spelled(_argv(fields, place)), on="node")

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        assert isinstance(fields, PowerFields)
        unknown = unended(done) or never_began(done.rc, done, purpose)
        if unknown:
            return unknown
        values: dict[str, Any] = {"rc": done.rc}
        if done.rc in NOT_STARTED:
            return Observation(True, values, why=first_line(done.err))
        if done.rc != 0:  # a controller that fails may have switched all the same
            return Observation(False, why=f"the power command ended with {done.rc}: {first_line(done.err)}")
        said = decode(done.out).rpartition("\n")[2].strip()
        if said in ("on", "off"):
            values["state"] = said
        elif fields.verb == "status":
            return Observation(False, why=f"the power command says '{said}', which is neither on nor off")
        return Observation(True, values)


def _argv(fields: PowerFields, place: Place) -> list[str]:
    if place.host is None:
        raise UsageError("power: needs a host, not the node itself", hint="give the step hosts:")
    command = variable(place, "power_command", WHAT)
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise UsageError(f"power_command of {place.host} is not a list of text", hint=WHAT)
    return [*command, fields.verb]
