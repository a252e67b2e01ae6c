"""From a runbook and parameters to a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hisauto.errors import Invalid, NotFound
from hisauto.plan.hosts import Discovered
from hisauto.plan.look import Looker, changes
from hisauto.plan.nesting import Find, make_part
from hisauto.plan.plan import Plan, parts_of, walk
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Part, Runbook
from hisauto.runbook.expressions import render
from hisauto.runbook.scope import Hosts


def lock_keys(part: Part, scope: Scope) -> set[str]:
    """The keys a run has to hold: its own, the hosts behind them, and every host that a changing step may touch."""
    keys: set[str] = set()
    runbook, hosts, world = part.runbook, part.hosts, scope.world
    scope = scope.plus(params=part.params, hosts={k: Hosts(v) for k, v in hosts.items()})
    for lock in runbook.locks:
        key = render(lock, scope.at(None))
        keys.add(f"lock:{key}")
        try:
            keys.update(f"host:{h}" for h in world.resolve(key, hosts))
        except NotFound:
            continue  # a free name, not a group
    for pattern in _touched(runbook, scope):
        keys.update(f"host:{h}" for h in world.resolve(pattern, hosts))
    return keys


def _touched(runbook: Runbook, scope: Scope) -> Iterator[str]:
    """The patterns of what may change something. One that only a unit can fill in is not known yet."""
    for step in walk((*runbook.steps, *runbook.always), parts=False):
        changing = any(changes(inner, scope.world) for inner in walk((step,)))
        for pattern in (step.hosts if changing else None, step.undo.hosts if step.undo else None):
            try:
                if pattern is not None:
                    yield render(pattern, scope.at(None))
            except Invalid:
                continue


def build(
    runbook: Runbook,
    given: Mapping[str, str],
    looker: Looker,
    *,
    site: str,
    people: str,
    files: Mapping[str, str],
    find: Find,
) -> tuple[Plan, Discovered]:
    """Make a plan; looks at hosts where the runbook discovers them, touches nothing.

    ``files``: the pinned files, name → SHA-256; ``find``: a runbook by its name. Raises ``Invalid``, ``NotFound``,
    ``Refused``, ``UsageError``.
    """
    own, found = make_part(runbook, given, looker, find)
    plan = Plan(
        site=site,
        runbook=own.runbook,
        runbook_digest=own.digest,
        params=own.params,
        hosts=own.hosts,
        secrets=own.secrets,
        locks=tuple(sorted({key for part in parts_of(own).values() for key in lock_keys(part, looker.scope)})),
        files=dict(sorted(files.items())),
        people=people,
    )
    return plan, found
