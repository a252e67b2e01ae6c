"""From YAML to a runbook: a step's action key becomes ``action``, and every mistake gets its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from hisauto.model.action import Action
from hisauto.model.problems import Problem, did_you_mean, invalid
from hisauto.model.yamltext import Document, Path, Value, load
from hisauto.runbook.calls import read_fields
from hisauto.runbook.documents import Probe, Runbook, Step, Undo
from hisauto.runbook.source import Source, from_pydantic

BLOCKS = ("steps", "ways", "together")
STEP_WORDS = ("approve", "notify", "manual", *BLOCKS, "runbook")
"""What a step can be besides an action."""
OURS = ("action", "part")
"""Words of the models that are not the language's."""
_WORDS = frozenset(i.alias or name for model in (Step, Probe, Undo) for name, i in model.model_fields.items())


@dataclass(frozen=True)
class Loaded:
    """A runbook whose form is right, and where its parts stand."""

    runbook: Runbook
    source: Source


def read_runbook(text: bytes, name: str, actions: Mapping[str, Action]) -> Runbook:
    """Read a runbook's YAML; ``name`` is the file for messages. Raises ``Invalid`` with all problems of its form.

    Whether it makes sense (names, gates, what may look and what changes) is ``check.check``'s business.
    """
    return load_runbook(text, name, actions).runbook


def load_runbook(text: bytes, name: str, actions: Mapping[str, Action]) -> Loaded:
    """Like ``read_runbook``, keeping the places for later checks. Raises ``Invalid``."""
    document = load(text, name)
    if not isinstance(document.value, dict):
        raise invalid([_no_runbook(document, document.value)])
    normaliser = _Normaliser(Source(document), actions)
    value = normaliser.runbook(document.value)
    problems = normaliser.problems
    try:
        runbook = Runbook.model_validate(value)
    except ValidationError as error:
        more = dict.fromkeys(("Step", "Probe", "Undo"), actions)
        errors = error.errors(include_url=False)
        raise invalid([*problems, *from_pydantic(errors, normaliser.source, Runbook, (), more)]) from None
    if problems:
        raise invalid(problems)
    return Loaded(runbook, normaliser.source)


def _no_runbook(document: Document, value: Value) -> Problem:
    plays = isinstance(value, list) and any(
        isinstance(play, dict) and ({"hosts", "import_playbook"} & set(play)) for play in value
    )
    if plays:
        hint = "put its tasks into a role, and call that from a step: role: NAME"
        return document.problem((), "HA100", "this is an Ansible playbook, not a runbook", hint)
    found = "a list" if isinstance(value, list) else "text"
    hint = "it begins with: runbook: NAME"
    return document.problem((), "HA100", f"a runbook is a mapping, and this is {found}", hint)


@dataclass
class _Normaliser:
    """Rewrites what was written into the documents' form. What it doesn't understand it leaves to them to refuse."""

    source: Source
    actions: Mapping[str, Action]
    problems: list[Problem] = field(default_factory=list)

    def runbook(self, raw: dict[str, Value]) -> dict[str, Any]:
        value: dict[str, Any] = dict(raw)
        for key in ("steps", "always"):
            self.each(value, key, (), self.step)
        for key in ("guards", "never", "verify"):
            self.each(value, key, (), self.probe)
        if isinstance(hosts := value.get("hosts"), dict):
            value["hosts"] = {name: self.host_set(item, ("hosts", name)) for name, item in hosts.items()}
        return value

    def each(self, value: dict[str, Any], key: str, path: Path, read: Any) -> None:
        """Read every item of a list, if it is one."""
        if isinstance(items := value.get(key), list):
            value[key] = [read(item, (*path, key, n)) for n, item in enumerate(items)]

    def host_set(self, raw: Value, path: Path) -> Any:
        if isinstance(raw, dict) and "where" in raw:
            return {**raw, "where": self.probe(raw["where"], (*path, "where"))}
        return raw

    def step(self, raw: Value, path: Path) -> Any:
        if not isinstance(raw, dict):
            return raw
        value = self.acting(raw, path, STEP_WORDS)
        for key, read in (("done_when", self.probe), ("undo", self.undo)):
            if key in value:
                value[key] = read(value[key], (*path, key))
        for key in BLOCKS:
            self.each(value, key, path, self.step)
        if value.get("action") is None and "expect" not in value and not any(word in value for word in STEP_WORDS):
            self.nothing(value, path, "the step does nothing", f"an action, {', '.join(STEP_WORDS)} or expect")
        return value

    def probe(self, raw: Value, path: Path) -> Any:
        if not isinstance(raw, dict):
            return raw
        value = self.acting(raw, path, ())
        if value.get("action") is None and "expect" not in value:
            self.nothing(value, path, "nothing is looked at", "an action that looks, or expect")
        return value

    def undo(self, raw: Value, path: Path) -> Any:
        if not isinstance(raw, dict):
            return raw
        value = self.acting(raw, path, ())
        if value.get("action") is None:
            self.nothing(value, path, "the undo does nothing", "an action")
            value["action"] = {"kind": "", "fields": {}}
        if "done_when" in value:
            value["done_when"] = self.probe(value["done_when"], (*path, "done_when"))
        return value

    def nothing(self, value: dict[str, Any], path: Path, message: str, wanted: str) -> None:
        """No action was recognised; a misspelt one is reported by itself, as an unknown word."""
        if not self.misspelt(value):
            self.problems.append(self.source.problem(path, "HA105", message, f"expected {wanted}"))

    def misspelt(self, value: Iterable[str]) -> bool:
        return any(word not in _WORDS for word in value)

    def acting(self, raw: dict[str, Value], path: Path, others: tuple[str, ...]) -> dict[str, Any]:
        """Turn the action's key into ``action``; two of a kind are refused."""
        value: dict[str, Any] = dict(raw)
        for word in OURS:
            if value.pop(word, None) is not None:
                hint = did_you_mean(word, self.actions)
                self.problems.append(
                    self.source.problem((*path, word), "HA101", f"unknown word {word!r}", hint, key=True)
                )
        found = [key for key in raw if key in self.actions or key in others]
        if len(found) > 1:
            lines = " and ".join(f"{key!r} (line {self.source.line((*path, key))})" for key in found)
            hint = "one step, one action: make it two steps"
            self.problems.append(
                self.source.problem((*path, found[1]), "HA104", f"several actions: {lines}", hint, key=True)
            )
        for key in found:
            if key in self.actions:
                call = self.call(key, value.pop(key), (*path, key))
                if "action" not in value:
                    value["action"] = call
                    self.source.origins[(*path, "action")] = (*path, key)
        return value

    def call(self, kind: str, raw: Value, written: Path) -> dict[str, Any]:
        """The action's own model reads its fields; scalars and lists stand for its main field."""
        action = self.actions[kind]
        model_path = (*written[:-1], "action", "fields")
        fields: dict[str, Any]
        if isinstance(raw, dict):
            fields = dict(raw)
            self.source.origins.setdefault(model_path, written)
        elif action.scalar is not None:
            fields = {action.scalar: raw}
            self.source.origins.setdefault((*model_path, action.scalar), written)
        else:
            known = ", ".join(i.alias or n for n, i in action.fields.model_fields.items())
            message = f"{kind}: expected a mapping, not {'a list' if isinstance(raw, list) else 'text'}"
            self.problems.append(self.source.problem(written, "HA103", message, f"its fields: {known}"))
            return {"kind": kind, "fields": {}}
        model, errors = read_fields(action, fields)
        if model is None:
            shorthand = not isinstance(raw, dict)
            for error in errors:
                if shorthand:
                    error["loc"] = error["loc"][1:]
            self.problems += from_pydantic(errors, self.source, action.fields, written, {})
            return {"kind": kind, "fields": {}}
        return {"kind": kind, "fields": model.model_dump(mode="json", by_alias=True, exclude_unset=True)}
