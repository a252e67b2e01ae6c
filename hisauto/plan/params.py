"""A runbook's parameters: typed, with their defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from hisauto.errors import UsageError
from hisauto.model.world import World
from hisauto.runbook.documents import Param, Runbook
from hisauto.runbook.secrets import used
from hisauto.runbook.types import seconds


def read_params(runbook: Runbook, given: Mapping[str, str], world: World) -> dict[str, Any]:
    """Type the given values and fill in defaults. Raises ``UsageError`` naming the parameter."""
    for name in given:
        if name not in runbook.params:
            near = get_close_matches(name, runbook.params, 1)
            raise UsageError(
                f"{runbook.runbook} has no parameter '{name}'",
                hint=f"did you mean '{near[0]}'?" if near else f"it has: {', '.join(runbook.params) or 'none'}",
            )
    values: dict[str, Any] = {}
    for name, param in runbook.params.items():
        text = given.get(name, param.default)
        if text is None:
            raise UsageError(
                f"{runbook.runbook} needs the parameter '{name}' ({param.type})", hint=f"give it: -p {name}=…"
            )
        values[name] = _typed(name, param, text, world)
    return values


def _typed(name: str, param: Param, text: str, world: World) -> Any:
    match param.type:
        case "number":
            try:
                return int(text)
            except ValueError:
                raise UsageError(f"parameter '{name}': '{text}' is not a whole number") from None
        case "flag":
            if text not in ("true", "false", "yes", "no"):
                raise UsageError(f"parameter '{name}': '{text}' is neither true nor false")
            return text in ("true", "yes")
        case "duration":
            try:
                return seconds(text)
            except ValueError as e:
                raise UsageError(f"parameter '{name}': {e}") from None
        case "choice":
            if text not in param.of:
                raise UsageError(f"parameter '{name}': '{text}' is not one of {', '.join(param.of)}")
        case "secret":
            world.secrets.check(text)
        case "host" | "group":
            hosts = world.resolve(text, {})
            if param.type == "host" and list(hosts) != [text]:
                raise UsageError(f"parameter '{name}': '{text}' is not one host of the inventory")
        case _:
            pass
    return text


def find_secrets(runbook: Runbook, params: Mapping[str, Any], world: World) -> dict[str, str]:
    """What the runbook calls its secrets → the site's names. Raises ``Invalid``, ``NotFound``; asks for no value."""
    found = {}
    for name in sorted(used(runbook, world.actions)):
        param = runbook.params.get(name)
        found[name] = str(params[name]) if param is not None and param.type == "secret" else name
        world.secrets.check(found[name])
    return found
