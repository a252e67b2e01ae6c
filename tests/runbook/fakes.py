"""Actions as the language sees them: fields and promises, nothing that runs. Shaped like the built-in ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hisauto.model.action import Action, Call, Observation, Place, Purpose
from hisauto.model.transport import Completed
from hisauto.runbook.types import Duration, Template


def _argv(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.count("'") % 2:
        raise ValueError("no closing quotation")
    return re.findall(r"(?:\{\{.*?\}\}|\S)+", value)


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CommandFields(_Fields):
    argv: Annotated[tuple[str, ...], BeforeValidator(_argv), Field(min_length=1)]


class ShellFields(_Fields):
    script: Template


class SqlFields(_Fields):
    query: Template
    on: str | None = None


class HttpFields(_Fields):
    url: str
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE"] = "GET"
    from_: Literal["host", "node"] = Field("node", alias="from")
    timeout: Duration = 10.0


class PowerFields(_Fields):
    verb: Literal["on", "off", "status"]


class RoleFields(_Fields):
    role: str


OUTPUT = {"rc": "number", "stdout": "text", "stderr": "text"}


@dataclass
class Fake:
    """An action by its promises. ``changing``: always, never when it looks, or by a field's value."""

    name: str
    fields: type[BaseModel]
    scalar: str | None
    can_look: bool
    returns: Mapping[str, str]
    default_expect: str | None = None
    preview: ClassVar[bool] = False

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        if isinstance(fields, HttpFields):
            return fields.method not in ("GET", "HEAD")
        if isinstance(fields, PowerFields):
            return fields.verb != "status"
        return purpose == "change"

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        raise NotImplementedError

    def read(self, fields: BaseModel, done: Completed) -> Observation:
        raise NotImplementedError


_FAKES = (
    Fake("command", CommandFields, "argv", True, OUTPUT, "rc == 0"),
    Fake("shell", ShellFields, "script", True, OUTPUT, "rc == 0"),
    Fake("sql", SqlFields, "query", True, {"row": "mapping", "rows": "list", "rowcount": "number", "refused": "flag"}),
    Fake("http", HttpFields, None, True, {"status": "number", "body": "text", "json": "value", "refused": "flag"}),
    Fake("power", PowerFields, "verb", True, {"state": "text", "rc": "number"}),
    Fake("role", RoleFields, "role", False, {"changed": "number", "failed": "number", "rc": "number"}),
)
# The protocol's are class variables; here one class serves six actions.
ACTIONS: Mapping[str, Action] = cast(Any, {fake.name: fake for fake in _FAKES})
GROUPS = frozenset({"his_db", "db_proxy", "app", "all"})
HOSTS = frozenset({"db1", "db2", "lb1", "app1", "app2"})
