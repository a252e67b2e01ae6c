"""Warnings: what can be run, and may be unwise. Their reasons, examples and cures stand in ``rules/danger.py``.

Looked for when there is no error. Each check sees one part of the runbook with the parts around it; a new kind of look
or step needs nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from pydantic import BaseModel

from hisauto.model.action import Action
from hisauto.model.problems import Problem
from hisauto.model.yamltext import Path
from hisauto.runbook.calls import unrendered
from hisauto.runbook.documents import Doc, Probe, Runbook, Step, Undo
from hisauto.runbook.expressions import Truth, evaluate, names
from hisauto.runbook.loader import Loaded
from hisauto.runbook.rules import RULES

_SWALLOWED = re.compile(r"(\|\||;|\n)\s*(true|:|exit 0)\s*$")
_RESTART = re.compile(r"(?<![\w.-])(restart|try-restart|reload|force-reload|reboot)(?![\w-])")

Finding = tuple[Path, str, str]
"""Where below the part (its key), what, and a hint."""


@dataclass(frozen=True)
class Part:
    """A part of a runbook, and what it stands in, the outermost first."""

    doc: Doc
    path: Path
    above: tuple[Part, ...] = ()

    @property
    def around(self) -> tuple[Part, ...]:
        return (*self.above, self)


@dataclass
class _Linter:
    loaded: Loaded
    actions: Mapping[str, Action]
    parts: list[Part] = field(default_factory=list)

    @property
    def runbook(self) -> Runbook:
        return self.loaded.runbook

    def changes(self, step: Step) -> bool:
        """Whether a step's own action can change something, as far as its fields tell."""
        if step.changes is not None or step.action is None:
            return bool(step.changes)
        action = self.actions[step.action.kind]
        return action.changes(unrendered(action, step.action.fields))

    def no_return(self) -> Path | None:
        """The step behind which nothing is undone by itself, if the run passes one for certain."""
        for part in self.parts:
            blocks = [p.doc for p in part.around if isinstance(p.doc, Step)]
            certain = all(b.when is None and b.ways is None for b in blocks) and part.path[:1] == ("steps",)
            if certain and isinstance(part.doc, Step) and part.doc.irreversible is not None:
                return part.path
        return None


def lint(loaded: Loaded, actions: Mapping[str, Action]) -> list[Problem]:
    """All warnings that are not accepted, and those accepted without need."""
    linter = _Linter(loaded, actions, list(_parts(Part(loaded.runbook, ()))))
    used: set[tuple[Path, str]] = set()
    problems = []
    for part in linter.parts:
        for code, check in _CHECKS.items():
            for below, message, hint in check(linter, part):
                path = (*part.path, *below)
                accepted = {(p.path, code) for p in part.around if code in getattr(p.doc, "accept", ())}
                used |= accepted
                if not accepted:
                    problems.append(_problem(loaded, path, code, message, hint))
    for part in linter.parts:
        for code in getattr(part.doc, "accept", ()):
            if (part.path, code) not in used:
                said = "there is no such warning here" if code in _CHECKS else "it is no warning"
                path = (*part.path, "accept", code)
                problems.append(_problem(loaded, path, "HA159", f"{code}: {said}", "leave it out"))
    return problems


def _problem(loaded: Loaded, path: Path, code: str, message: str, hint: str) -> Problem:
    return loaded.source.problem(path, code, message, hint, key=True, severity=RULES[code].severity)


def _parts(part: Part) -> Iterator[Part]:
    yield part
    for name, info in type(part.doc).model_fields.items():
        for path, doc in _docs(getattr(part.doc, name), (info.alias or name,)):
            yield from _parts(Part(doc, (*part.path, *path), part.around))


def _docs(value: Any, path: Path) -> Iterator[tuple[Path, Doc]]:
    if isinstance(value, Doc):
        yield path, value
    elif isinstance(value, Mapping) and not isinstance(value, BaseModel):
        for key, item in value.items():
            yield from _docs(item, (*path, key))
    elif isinstance(value, tuple):
        for n, item in enumerate(value):
            yield from _docs(item, (*path, n))


# ---------------------------------------------------------------- the checks, by their code
def _looks_nowhere(doc: object, linter: _Linter) -> TypeGuard[Undo]:
    """An undo without a ``done_when``, whose action has no look of its own that stands in for it."""
    if not isinstance(doc, Undo) or doc.done_when is not None:
        return False
    own = linter.actions[doc.action.kind].own_look
    return own is None or not own.settles


def _undo_in_doubt(linter: _Linter, part: Part) -> Iterator[Finding]:
    if _looks_nowhere(part.doc, linter) and not part.doc.idempotent:
        message = "this undo won't run for a step that failed or is in doubt: nothing tells whether it may"
        yield (), message, "give it a done_when, or say idempotent: true"


def _undo_that_never_runs(linter: _Linter, part: Part) -> Iterator[Finding]:
    if isinstance(part.doc, Step) and part.doc.irreversible is not None and part.doc.undo is not None:
        yield ("undo",), "after an irreversible step nothing is undone automatically: this undo never runs", ""


def _no_way_back(linter: _Linter, part: Part) -> Iterator[Finding]:
    step = part.doc
    if not isinstance(step, Step) or part.path[0] != "steps" or step.undo is not None or step.irreversible is not None:
        return
    policies = [getattr(p.doc, "on_failure", None) for p in reversed(part.around)]
    rolls_back = next((policy for policy in policies if policy is not None), None) == "rollback"
    behind = (last := linter.no_return()) is not None and _order(part.path) > _order(last)
    mended = _compares(step) or (step.idempotent and not rolls_back)
    if linter.changes(step) and not behind and not mended:
        yield ("name",), "it changes something, and there is no way back", "give it an undo, or say irreversible: why"


def _compares(step: Step) -> bool:
    """Its effect is no state, like a restart's: ``done_when`` compares with ``before``."""
    look = step.done_when
    return look is not None and look.expect is not None and "before" in names(look.expect)


def _order(path: Path) -> list[int]:
    return [key for key in path if isinstance(key, int)]


def _cannot_fail(linter: _Linter, part: Part) -> Iterator[Finding]:
    look = part.doc
    if not isinstance(look, Probe | Step):
        return
    looks = isinstance(look, Probe) or (not linter.changes(look) and look.block is None)
    proven = isinstance(look, Step) and look.done_when is not None
    if look.at_least == 0:
        yield ("at_least",), "at_least: 0 holds always", "say on how many hosts it has to hold"
    if look.expect is not None and (looks or not proven):
        if evaluate(look.expect, {}).truth is Truth.true:
            yield ("expect",), "it is always true", "expect something of what came back"
        elif look.action is not None and not names(look.expect) & _told(linter, look):
            yield ("expect",), "it uses nothing of what was looked at", f"there is: {_list(linter, look)}"
    elif looks and look.action is not None and _SWALLOWED.search(str(look.action.fields.get("script", ""))):
        yield ("action",), "the script ends well whatever it finds", "let it end with what it found, or say expect"


def _told(linter: _Linter, look: Probe | Step) -> set[str]:
    assert look.action is not None
    return {*linter.actions[look.action.kind].returns, "before"}


def _list(linter: _Linter, look: Probe | Step) -> str:
    return ", ".join(sorted(_told(linter, look) - {"before"}))


def _blind_done_when(linter: _Linter, part: Part) -> Iterator[Finding]:
    step = part.doc
    if not isinstance(step, Step) or step.done_when is None or not linter.changes(step):
        return
    assert step.action is not None
    look, never_already = step.done_when, step.unreachable is not None or _compares(step)
    text = " ".join(str(v if isinstance(v, str) else " ".join(map(str, v))) for v in step.action.fields.values() if v)
    if look.action is None:
        yield ("done_when",), "nothing is looked at after the action", "give it an action that looks at the effect"
    elif look.action == step.action:
        yield ("done_when",), "the look is the action itself: a plan would already do it", "look at the effect"
    elif step.action.kind in ("command", "shell") and _RESTART.search(text) and not never_already:
        message = "what was up before is up: the restart would be skipped as already done"
        yield ("done_when",), message, "compare with before: expect: stdout != before.stdout"


def _no_facts(linter: _Linter, part: Part) -> Iterator[Finding]:
    if isinstance(part.doc, Step) and part.doc.approve is not None and not part.doc.approve.facts:
        yield ("approve",), "people are asked to sign without facts", "facts: [names that guards or steps register]"


def _blind_undo(linter: _Linter, part: Part) -> Iterator[Finding]:
    if _looks_nowhere(part.doc, linter) and part.doc.idempotent:
        yield (), "nothing looks whether this undo has worked", "give it a done_when"


def _one_sided_fence(linter: _Linter, part: Part) -> Iterator[Finding]:
    step = part.doc
    if not isinstance(step, Step) or step.unreachable is None or not linter.changes(step):
        return
    if (last := linter.no_return()) is None or _order(part.path) > _order(last):
        return  # no fence: nothing irreversible relies on it
    looks = [p.doc.done_when for p in reversed(part.around) if isinstance(p.doc, Step) and p.doc.done_when is not None]
    if looks and looks[0].action is not None and looks[0].action.kind == "power":
        return
    where = looks[0].hosts if looks else None
    if where is None or where == step.hosts:
        yield ("unreachable",), "only the host itself is asked whether it is out of service", _TWO_SIDES
    elif _sides(linter.runbook, where) < 2:
        yield ("done_when", "hosts"), "its silence is seen from one side only", _TWO_SIDES


_TWO_SIDES = "look from two sides: done_when: {hosts: 'proxies:clients', …}"


def _sides(runbook: Runbook, pattern: str) -> int:
    """How many groups a pattern puts together; one that is filled in later, or is all hosts, counts as enough."""
    if "{{" in pattern or pattern in ("all", "*"):
        return 2
    tokens = [t for t in re.split(r"[:,](?![^\[]*\])", pattern) if t and t[0] not in "!&"]
    if len(tokens) == 1 and tokens[0] in runbook.hosts:
        return _sides(runbook, runbook.hosts[tokens[0]].pattern)
    return len(tokens)


def _no_never(linter: _Linter, part: Part) -> Iterator[Finding]:
    if isinstance(part.doc, Step) and part.doc.irreversible is not None and not linter.runbook.never:
        message = "nothing is looked at just before the point of no return"
        yield ("irreversible",), message, "never: what must not be then"


_CHECKS: Mapping[str, Callable[[_Linter, Part], Iterator[Finding]]] = {
    "HA150": _undo_in_doubt,
    "HA151": _undo_that_never_runs,
    "HA152": _no_way_back,
    "HA153": _cannot_fail,
    "HA154": _blind_done_when,
    "HA155": _no_facts,
    "HA156": _blind_undo,
    "HA157": _one_sided_fence,
    "HA158": _no_never,
}
