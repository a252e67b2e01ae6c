"""From a runbook and parameters to a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hisauto.errors import Invalid, NotFound, UsageError
from hisauto.model.world import World
from hisauto.plan.hosts import Discovered, discover
from hisauto.plan.look import Looker, changes
from hisauto.plan.plan import Plan, walk
from hisauto.plan.scope import Scope
from hisauto.runbook.digest import content_digest
from hisauto.runbook.documents import Param, Runbook
from hisauto.runbook.expressions import render
from hisauto.runbook.scope import Hosts
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
        case "host" | "group":
            hosts = world.resolve(text, {})
            if param.type == "host" and list(hosts) != [text]:
                raise UsageError(f"parameter '{name}': '{text}' is not one host of the inventory")
        case _:
            pass
    return text


def lock_keys(runbook: Runbook, hosts: Mapping[str, Sequence[str]], scope: Scope) -> tuple[str, ...]:
    """The keys a run has to hold: its own, the hosts behind them, and every host that a changing step may touch."""
    keys: set[str] = set()
    world = scope.world
    for lock in runbook.locks:
        key = render(lock, scope.at(None))
        keys.add(f"lock:{key}")
        try:
            keys.update(f"host:{h}" for h in world.resolve(key, hosts))
        except NotFound:
            continue  # a free name, not a group
    for pattern in _touched(runbook, scope):
        keys.update(f"host:{h}" for h in world.resolve(pattern, hosts))
    return tuple(sorted(keys))


def _touched(runbook: Runbook, scope: Scope) -> Iterator[str]:
    """The patterns of what may change something. One that only a unit can fill in is not known yet."""
    for step in walk((*runbook.steps, *runbook.always)):
        changing = any(changes(inner, scope.world) for inner in walk((step,)))
        for pattern in (step.hosts if changing else None, step.undo.hosts if step.undo else None):
            try:
                if pattern is not None:
                    yield render(pattern, scope.at(None))
            except Invalid:
                continue


def pinned_files(runbook: Runbook, roles: Sequence[Path]) -> dict[str, bytes]:
    """The content of every role that the runbook uses, dependencies included: ``roles/NAME/…`` → bytes."""
    files: dict[str, bytes] = {}
    wanted = [
        str(step.action.fields["role"])
        for step in walk((*runbook.steps, *runbook.always))
        if step.action is not None and step.action.kind == "role"
    ]
    done: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in done:
            continue
        done.add(name)
        folder = next((p / name for p in roles if (p / name).is_dir()), None)
        if folder is None:
            have = sorted(d.name for p in roles if p.is_dir() for d in p.iterdir() if d.is_dir())
            near = get_close_matches(name, have, 1)
            raise NotFound(f"there is no role '{name}'", hint=f"did you mean '{near[0]}'?" if near else None)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[f"roles/{name}/{path.relative_to(folder)}"] = path.read_bytes()
        wanted += _dependencies(files.get(f"roles/{name}/meta/main.yml", b""))
    return files


def _dependencies(meta: bytes) -> list[str]:
    import yaml

    found = (yaml.safe_load(meta) or {}).get("dependencies") or []
    return [d if isinstance(d, str) else d.get("role") or d.get("name") for d in found]


def build(
    runbook: Runbook,
    given: Mapping[str, str],
    looker: Looker,
    *,
    site: str,
    people: str,
    roles: Sequence[Path],
) -> tuple[Plan, Discovered, dict[str, bytes]]:
    """Make a plan; looks at hosts where the runbook discovers them, touches nothing."""
    params = read_params(runbook, given, looker.scope.world)
    at = looker.within(looker.scope.plus(params=params))
    found = discover(runbook, at)
    files = pinned_files(runbook, roles)
    names = at.scope.plus(hosts={k: Hosts(v) for k, v in found.hosts.items()})
    plan = Plan(
        site=site,
        runbook=runbook,
        runbook_digest=content_digest(runbook),
        params=params,
        hosts={k: tuple(v) for k, v in found.hosts.items()},
        locks=lock_keys(runbook, found.hosts, names),
        files={path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())},
        people=people,
    )
    return plan, found, files
