"""Where a runbook uses secrets: they may stand only in what an action hands over in private."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hisauto.errors import Invalid
from hisauto.model.action import Action, secret_fields
from hisauto.model.yamltext import Path
from hisauto.runbook.documents import Probe, Runbook, Step, Undo
from hisauto.runbook.expressions import Reference, references

HINT = "hand it over in env, or in a field that takes secrets (http: headers, body, json, url; sql: query; role: vars)"


@dataclass(frozen=True)
class Use:
    """One ``secrets.NAME``, and where it stands."""

    path: Path
    part: str
    """What holds it, in words."""
    name: str | None
    """None: ``secrets`` as a whole, or by a name that nobody knows yet."""
    private: bool
    """Whether a secret may stand there."""

    @property
    def wrong(self) -> str:
        """What is wrong with it; empty: nothing."""
        if not self.private:
            return f"a secret can't stand in {self.part}: it would be seen there"
        return "" if self.name is not None else "'secrets' alone is none: say which, secrets.NAME"


def uses(runbook: Runbook, actions: Mapping[str, Action]) -> Iterator[Use]:
    """Every use, in the order of the file. Expressions that can't be read are left to others to refuse."""
    for path, part, value, private in _Finder(actions).runbook(runbook):
        for place, reference in _references(value, path, template=part not in _EXPRESSIONS):
            if reference[0] == "secrets":
                yield Use(place, part, str(reference[1]) if len(reference) > 1 else None, private)


def used(runbook: Runbook, actions: Mapping[str, Action]) -> set[str]:
    """The names behind ``secrets.``. Raises ``Invalid`` for one that stands where it would be seen."""
    found = set()
    for use in uses(runbook, actions):
        if use.wrong or use.name is None:
            raise Invalid(f"{runbook.runbook}: {use.wrong}", hint=HINT)
        found.add(use.name)
    return found


_EXPRESSIONS = ("when", "expect", "measures")
_Text = tuple[Path, str, Any, bool]
"""Where it stands, what that is called, the value with its templates, and whether a secret may be in it."""


def _references(value: Any, path: Path, *, template: bool) -> Iterator[tuple[Path, Reference]]:
    if isinstance(value, str):
        try:
            yield from ((path, found) for found in sorted(references(value, template=template), key=str))
        except Invalid:
            return
    elif isinstance(value, Mapping | list | tuple):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _references(item, (*path, key), template=template)


class _Finder:
    def __init__(self, actions: Mapping[str, Action]) -> None:
        self.actions = actions

    def runbook(self, runbook: Runbook) -> Iterator[_Text]:
        yield ("locks",), "a lock's name", runbook.locks, False
        for name, wanted in runbook.hosts.items():
            yield ("hosts", name, "pattern"), "a host pattern", wanted.pattern, False
            if wanted.where is not None:
                yield from self.probe(wanted.where, ("hosts", name, "where"))
        for key in ("guards", "never", "steps", "verify", "always"):
            parts: Sequence[Probe | Step] = getattr(runbook, key)
            for n, part in enumerate(parts):
                yield from self.step(part, (key, n)) if isinstance(part, Step) else self.probe(part, (key, n))

    def step(self, step: Step, path: Path) -> Iterator[_Text]:
        yield (*path, "when"), "when", step.when, False
        if step.approve is not None:
            yield (*path, "approve", "question"), "a question", step.approve.question, False
        if step.notify is not None:
            yield (*path, "notify", "text"), "a message", step.notify.text, False
        if step.manual is not None:
            yield (*path, "manual"), "a person's work", step.manual.model_dump(), False
        yield (*path, "with"), "what a runbook is given", step.with_, False
        yield (*path, "for_each"), "a list of items", step.for_each, False
        yield from self.acting(step, path)
        yield (*path, "expect"), "expect", step.expect, False
        taken = step.action is not None and "vars" in secret_fields(self.actions[step.action.kind])
        yield (*path, "vars"), "vars", step.vars, taken
        if step.done_when is not None:
            yield from self.probe(step.done_when, (*path, "done_when"))
        if step.undo is not None:
            yield from self.acting(step.undo, (*path, "undo"))
            if step.undo.done_when is not None:
                yield from self.probe(step.undo.done_when, (*path, "undo", "done_when"))
        for key in ("steps", "ways", "together"):
            for n, inner in enumerate(getattr(step, key) or ()):
                yield from self.step(inner, (*path, key, n))

    def probe(self, probe: Probe, path: Path) -> Iterator[_Text]:
        yield from self.acting(probe, path)
        yield (*path, "expect"), "expect", probe.expect, False
        yield (*path, "measures"), "measures", probe.measures, False

    def acting(self, part: Step | Probe | Undo, path: Path) -> Iterator[_Text]:
        yield (*path, "hosts"), "a host pattern", part.hosts, False
        if part.action is not None:
            private = secret_fields(self.actions[part.action.kind])
            for name, value in part.action.fields.items():
                what = f"{part.action.kind}'s {name}"
                yield (*path, "action", "fields", name), what, value, name in private
        yield (*path, "env"), "env", part.env, True
