"""What is wrong with a runbook whose form is right. Codes, reasons and cures: ``rules/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from hisauto.errors import HisautoError
from hisauto.model.action import Action, Purpose
from hisauto.model.problems import Problem, did_you_mean
from hisauto.model.yamltext import Path
from hisauto.runbook.calls import unrendered
from hisauto.runbook.documents import Approve, Call, Param, Probe, Runbook, Step, Undo
from hisauto.runbook.lint import lint
from hisauto.runbook.loader import Loaded
from hisauto.runbook.names import Context, Fields, Names
from hisauto.runbook.scope import RESERVED
from hisauto.runbook.secrets import HINT, uses
from hisauto.runbook.types import flag, number, seconds

Pin = Callable[[Action, BaseModel], object]
"""Raises ``HisautoError`` when a file that the action needs isn't there, or isn't fit."""

_PLANNING = Context()
_RUNNING = Context(running=True)


def check(
    loaded: Loaded,
    actions: Mapping[str, Action],
    *,
    groups: Set[str] | None = None,
    hosts: Set[str] | None = None,
    pin: Pin | None = None,
    secrets: Set[str] | None = None,
    windows: Set[str] | None = None,
) -> list[Problem]:
    """Errors, or where there are none the warnings, in the order of the file.

    ``groups`` and ``hosts`` are the inventory's, ``secrets`` and ``windows`` the site's; what isn't known is not
    checked against. Without ``pin`` files that actions need are not looked for.
    """
    runbook = loaded.runbook
    names = Names(loaded.source, runbook.params, runbook.hosts, groups, hosts)
    checker = _Checker(runbook, actions, names, pin, secrets, windows)
    checker.run()
    return sorted(names.problems or lint(loaded, actions))


@dataclass
class _Checker:
    """Goes through the runbook as a run would, so that a name is known only after the step that makes it."""

    runbook: Runbook
    actions: Mapping[str, Action]
    names: Names
    pin: Pin | None = None
    site_secrets: Set[str] | None = None
    site_windows: Set[str] | None = None
    seen: dict[str, Path] = field(default_factory=dict)
    """Ids and registered names, and where they were taken."""

    def say(self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False) -> None:
        self.names.problems.append(self.names.source.problem(path, code, message, hint, key=key))

    def run(self) -> None:
        self.window()
        for name, param in self.runbook.params.items():
            self.param(param, ("params", name))
        self.host_sets()
        for n, lock in enumerate(self.runbook.locks):
            self.names.template(lock, ("locks", n), _PLANNING)
        self.probes("guards", self.runbook.guards, _PLANNING)
        self.probes("never", self.runbook.never, _RUNNING)
        self.steps(self.runbook.steps, ("steps",), _RUNNING)
        self.probes("verify", self.runbook.verify, _RUNNING)
        self.steps(self.runbook.always, ("always",), _RUNNING)
        self.secrets()

    def window(self) -> None:
        window = self.runbook.window
        if self.runbook.kind == "change" and window is None:
            self.say(("kind",), "HA142", "a change needs a window", "window: NAME, one of those in hisauto.yml")
        if self.runbook.kind == "emergency" and window is not None:
            self.say(("window",), "HA142", "an emergency is bound by no window", "leave it out", key=True)
        if window is not None and self.site_windows is not None and window not in self.site_windows:
            hint = did_you_mean(window, sorted(self.site_windows)) or "list it under `windows:` in hisauto.yml"
            self.say(("window",), "HA143", f"this site has no window {window!r}", hint)

    def secrets(self) -> None:
        params = {name for name, param in self.runbook.params.items() if param.type == "secret"}
        for name in params:
            self.secret(self.runbook.params[name].default, ("params", name, "default"), set())
        for use in uses(self.runbook, self.actions):
            if use.wrong:
                self.say(use.path, "HA140", use.wrong, HINT)
            else:
                self.secret(use.name, use.path, params)

    def secret(self, name: str | None, path: Path, params: set[str]) -> None:
        if name is None or self.site_secrets is None or name in self.site_secrets or name in params:
            return
        hint = did_you_mean(name, sorted({*self.site_secrets, *params}))
        hint = hint or "list it under `secrets:` in hisauto.yml"
        self.say(path, "HA141", f"this site has no secret {name!r}", hint)

    def param(self, param: Param, path: Path) -> None:
        if (param.type == "choice") != bool(param.of):
            message = "a choice needs its values: of: [a, b]" if not param.of else "'of' is for type: choice"
            self.say(path, "HA125", message, key=True)
        if param.default is None:
            return
        try:
            match param.type:
                case "number":
                    number(param.default)
                case "flag":
                    flag(param.default)
                case "duration":
                    seconds(param.default)
                case "choice" if param.of and param.default not in param.of:
                    raise ValueError(f"expected one of {', '.join(param.of)}, not '{param.default}'")
                case _:
                    pass
        except ValueError as error:
            self.say((*path, "default"), "HA125", f"default: {error}")

    def host_sets(self) -> None:
        for name, wanted in self.runbook.hosts.items():
            path: Path = ("hosts", name)
            for kind, known in (("group", self.names.groups), ("host", self.names.hosts)):
                if known is not None and name in known:
                    hint = "choose another name: it would hide the inventory's"
                    self.say(path, "HA118", f"{name!r} is also a {kind} of the inventory", hint, key=True)
            short = (*path, "pattern")
            self.names.pattern(wanted.pattern, short, _PLANNING)
            if wanted.where is not None:
                self.probe(wanted.where, (*path, "where"), replace(_PLANNING, placed=True))
            self.names.sets[name] = wanted

    def probes(self, key: str, probes: tuple[Probe, ...], context: Context) -> None:
        for n, probe in enumerate(probes):
            self.probe(probe, (key, n), context)

    def probe(self, probe: Probe, path: Path, context: Context, *, before: bool = False) -> None:
        """Names, and that it only looks. ``before``: it is a step's ``done_when``."""
        self.names.pattern(probe.hosts, (*path, "hosts"), context)
        inside = replace(context, placed=context.placed or probe.hosts is not None)
        self.call(probe.action, path, inside)
        self.names.value(probe.env, (*path, "env"), inside)
        returned = self.returned(probe.action)
        extra = dict(returned)
        if before and probe.action is not None:
            extra["before"] = set(returned)
        judged = replace(inside, extra=extra)
        self.names.expression(probe.expect, (*path, "expect"), judged)
        for name, expression in probe.measures.items():
            self.names.expression(expression, (*path, "measures", name), judged)
        verifying = path[0] == "verify"
        if probe.changes and not verifying:
            self.say((*path, "changes"), "HA121", "only a look under verify may write (a canary)", key=True)
        if probe.measures and not verifying:
            self.say((*path, "measures"), "HA121", "only a look under verify measures", key=True)
        if probe.action is not None and not (probe.changes and verifying):
            self.only_looks(probe.action, path)
        self.register(probe.register_, path, [probe.action])

    def only_looks(self, call: Call, path: Path) -> None:
        action = self.actions[call.kind]
        if not action.can_look:
            looking = ", ".join(sorted(name for name, a in self.actions.items() if a.can_look))
            self.say((*path, "action"), "HA120", f"{call.kind!r} can't just look", f"what can: {looking}", key=True)
        elif self.changing(call, "look"):
            message = f"this {call.kind!r} changes something, and only a look can stand here"
            self.say((*path, "action"), "HA120", message, key=True)

    def changing(self, call: Call, purpose: Purpose) -> bool:
        action = self.actions[call.kind]
        return action.changes(unrendered(action, call.fields), purpose)

    def call(self, call: Call | None, path: Path, context: Context) -> None:
        if call is None:
            return
        self.names.value(call.fields, (*path, "action", "fields"), context)
        if self.pin is not None:
            self.files(self.pin, call, (*path, "action"))

    def files(self, pin: Pin, call: Call, path: Path) -> None:
        """That the files it needs are there and fit, said at the field that names them."""
        action = self.actions[call.kind]
        fields = unrendered(action, call.fields)
        try:
            pin(action, fields)
        except HisautoError as error:
            needs = action.needs(fields)
            named = (("fields", name) for name, value in call.fields.items() if value in (*needs.roles, *needs.files))
            self.say((*path, *next(named, ())), "HA128", str(error), error.hint or "")

    def returned(self, call: Call | None) -> dict[str, Fields]:
        return dict.fromkeys(self.actions[call.kind].returns) if call is not None else {}

    def register(self, name: str | None, path: Path, calls: list[Call | None], more: tuple[str, ...] = ()) -> None:
        if name is None:
            return
        self.unique(name, (*path, "register"), "registered name")
        if name in RESERVED:
            self.say((*path, "register"), "HA117", f"{name!r} is a name that every expression has already")
            return
        fields = {*more, *(field for call in calls for field in self.returned(call))}
        self.names.registered[name] = {*fields, "hosts", "items"} if fields else None

    def unique(self, name: str, path: Path, what: str) -> None:
        key = f"{what} {name}"
        if key in self.seen:
            line = self.names.source.line(self.seen[key])
            self.say(path, "HA116", f"the {what} {name!r} is there twice; the first one is on line {line}")
        self.seen.setdefault(key, path)

    def steps(self, steps: tuple[Step, ...], path: Path, context: Context) -> None:
        for n, step in enumerate(steps):
            self.step(step, (*path, n), context)

    def step(self, step: Step, path: Path, context: Context) -> None:
        if step.id is not None:
            self.unique(step.id, (*path, "id"), "id")
        self.names.pattern(step.hosts, (*path, "hosts"), context)
        self.names.value(step.for_each, (*path, "for_each"), context)
        inside = replace(context, placed=context.placed or step.hosts is not None,
                         each=context.each or step.for_each is not None)  # fmt: skip
        self.names.expression(step.when, (*path, "when"), inside)
        self.names.value(step.env, (*path, "env"), inside)
        self.names.value(step.vars, (*path, "vars"), inside)
        if step.approve is not None:
            self.gate(step.approve, (*path, "approve"), inside)
        if step.notify is not None:
            self.names.template(step.notify.text, (*path, "notify", "text"), inside)
        if step.manual is not None:
            self.names.template(step.manual.do, (*path, "manual", "do"), inside)
            self.names.template(step.manual.evidence or "", (*path, "manual", "evidence"), inside)
        self.names.value(step.with_, (*path, "with"), _PLANNING)
        self.call(step.action, path, inside)
        if step.done_when is not None:
            self.probe(step.done_when, (*path, "done_when"), inside, before=True)
        for key in ("steps", "ways"):
            inner: tuple[Step, ...] | None = getattr(step, key)
            if inner is not None:
                self.steps(inner, (*path, key), inside)
        self.together(step.together or (), (*path, "together"), inside)
        self.names.expression(step.expect, (*path, "expect"), replace(inside, extra=self.returned(step.action)))
        if step.undo is not None:
            self.undo(step.undo, (*path, "undo"), inside)
        said = ("answer", "by") if step.approve else ("answer", "by", "evidence") if step.manual else ()
        self.register(step.register_, path, [step.action, step.done_when.action if step.done_when else None], said)
        self.sense(step, path)
        self.units(step, path, context)

    def together(self, steps: tuple[Step, ...], path: Path, context: Context) -> None:
        """Side by side: what one registers is there for what comes after all of them, not for the others."""
        before, after = dict(self.names.registered), dict(self.names.registered)
        for n, step in enumerate(steps):
            self.names.registered = dict(before)
            self.step(step, (*path, n), context)
            after |= self.names.registered
        self.names.registered = after

    def units(self, step: Step, path: Path, context: Context) -> None:
        if step.hosts is not None and step.for_each is not None:
            hint = "put the step with `hosts` into a block with `for_each`"
            self.say((*path, "for_each"), "HA130", "a step is for hosts or for items, not for both", hint, key=True)
        if step.runbook is not None and (step.units or context.placed or context.each or path[0] == "always"):
            message = "a runbook as a step is planned once, and can't be a unit's, nor in always"
            self.say((*path, "runbook"), "HA131", message, "hand it the hosts as a parameter of its own", key=True)
        if step.with_ and step.runbook is None:
            self.say((*path, "with"), "HA131", "'with' is for a step that is a runbook", key=True)

    def gate(self, gate: Approve, path: Path, context: Context) -> None:
        self.names.template(gate.question, (*path, "question"), context)
        for n, fact in enumerate(gate.facts):
            if fact not in self.names.registered:
                hint = did_you_mean(fact, self.names.registered) or "register: a name, at a guard or a step above"
                self.say((*path, "facts", n), "HA115", f"nothing above registers {fact!r}", hint)

    def undo(self, undo: Undo, path: Path, context: Context) -> None:
        self.names.pattern(undo.hosts, (*path, "hosts"), context)
        inside = replace(context, placed=context.placed or undo.hosts is not None)
        self.call(undo.action, path, inside)
        self.names.value(undo.env, (*path, "env"), inside)
        if undo.done_when is not None:
            self.probe(undo.done_when, (*path, "done_when"), inside)
        elif self.actions[undo.action.kind].opaque:
            self.opaque(undo.action, path)

    def opaque(self, call: Call, path: Path) -> None:
        message = f"only a done_when can tell whether this {call.kind} has worked"
        self.say((*path, "action"), "HA133", message, "done_when: a look at what it is for", key=True)

    def sense(self, step: Step, path: Path) -> None:
        """What a step says of itself that can't be."""
        changes = self.changes(step)
        if step.action is not None and step.done_when is None and self.actions[step.action.kind].opaque:
            self.opaque(step.action, path)
        if step.changes is False and step.action is not None:
            self.only_looks(step.action, path)
        if step.ways is not None and step.done_when is None:
            for n, way in enumerate(step.ways):
                if way.done_when is None:
                    message = "nothing tells whether this way led there"
                    hint = "give it a done_when, or the block around it"
                    self.say((*path, "ways", n, "name"), "HA124", message, hint)
        if step.hosts is not None and changes and step.batch is None and not self.names.one_host(step.hosts):
            message = "it changes something on several hosts: say how many at a time"
            self.say((*path, "hosts"), "HA123", message, "batch: [1, 25%], or exactly: 1 for the hosts' name")
        blind = step.done_when is None or step.block is None
        if step.retries is not None and blind and self.irreversible(step):
            hint = "give the block a done_when: it is looked at before its list is run again" if step.block else ""
            self.say((*path, "retries"), "HA122", "what is irreversible is not tried again blindly", hint, key=True)

    def irreversible(self, step: Step) -> bool:
        return step.irreversible is not None or any(self.irreversible(inner) for inner in step.block or ())

    def changes(self, step: Step) -> bool:
        """Whether it, or a step in it that doesn't name hosts of its own, can change anything."""
        if step.block is not None:
            return any(self.changes(inner) for inner in step.block if inner.hosts is None)
        if step.changes is not None:
            return step.changes
        if step.manual is not None:
            return True
        return step.action is not None and self.changing(step.action, "change")
