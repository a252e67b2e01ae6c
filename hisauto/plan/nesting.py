"""Runbooks that are steps of a runbook: typed, found and put in their place when it is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from hisauto.errors import Invalid
from hisauto.plan.hosts import Discovered, discover
from hisauto.plan.look import Looker
from hisauto.plan.params import find_secrets, read_params
from hisauto.runbook.digest import content_digest
from hisauto.runbook.documents import Part, Runbook, Step
from hisauto.runbook.expressions import render
from hisauto.runbook.scope import Hosts

Find = Callable[[str], Runbook]
"""A runbook by its name. Raises ``NotFound``, ``Invalid``."""


def spaces(name: str, find: Find, space: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """A runbook and those that are steps in it: the paths of their steps, and the names by which they are found."""
    yield space, name
    runbook = find(name)
    for path, step in _numbered(runbook.steps, f"{space}." if space else ""):
        if step.runbook is not None and step.runbook not in (*above, runbook.runbook):  # else ``make_part`` refuses it
            yield from spaces(step.runbook, find, path, (*above, runbook.runbook))


def _numbered(steps: tuple[Step, ...], prefix: str) -> Iterator[tuple[str, Step]]:
    for n, step in enumerate(steps, 1):
        yield f"{prefix}{n}", step
        yield from _numbered(step.block or (), f"{prefix}{n}.")


def make_part(
    runbook: Runbook, given: Mapping[str, str], looker: Looker, find: Find, space: str = "",
    above: tuple[str, ...] = (),
) -> tuple[Part, Discovered]:  # fmt: skip
    """A runbook with its parameters, its hosts and the runbooks in it.

    ``space``: the path of the step that it is, '' for the run's own; ``above``: the names of those around it.
    """
    around = (*above, runbook.runbook)
    if runbook.runbook in above:
        raise Invalid(f"{' → '.join(around)}: a runbook can't be a step of itself", hint="take one of these steps out")
    params = read_params(runbook, given, looker.scope.world)
    secrets = find_secrets(runbook, params, looker.scope.world)
    names = {"run": looker.scope.names["run"], "params": params, "hosts": {}, "secrets": secrets}
    at = looker.within(replace(looker.scope, names=names, space=space))
    found = discover(runbook, at)
    inner = at.within(at.scope.plus(hosts={name: Hosts(hosts) for name, hosts in found.hosts.items()}))

    def planned(step: Step, path: str, *, barred: bool) -> Step:
        if step.hosts is not None and step.for_each is not None:
            raise Invalid(f"{step.name}: a step is for hosts or for items, not for both")
        if step.runbook is not None:
            if barred or step.units:
                raise Invalid(f"{step.name}: a runbook as a step is planned once, and can't be a unit's, nor in always")
            part = {name: render(value, inner.scope.at(None)) for name, value in step.with_.items()}
            return step.model_copy(update={"part": make_part(find(step.runbook), part, at, find, path, around)[0]})
        lists = {key: getattr(step, key) for key in ("steps", "ways", "together")}
        barred = barred or step.units
        return step.model_copy(update={key: listed(steps, f"{path}.", barred=barred)
                                       for key, steps in lists.items() if steps is not None})  # fmt: skip

    def listed(steps: tuple[Step, ...], prefix: str, *, barred: bool) -> tuple[Step, ...]:
        return tuple(planned(step, f"{prefix}{n}", barred=barred) for n, step in enumerate(steps, 1))

    body = runbook.model_copy(update={
        "steps": listed(runbook.steps, f"{space}." if space else "", barred=False),
        "always": listed(runbook.always, "", barred=True),
    })  # fmt: skip
    hosts = {name: tuple(those) for name, those in found.hosts.items()}
    return Part(runbook=body, digest=content_digest(runbook), params=params, hosts=hosts, secrets=secrets), found
