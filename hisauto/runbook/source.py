"""Where the parts of a runbook stand in its file, and pydantic's findings as problems there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hisauto.model.problems import Problem, Severity, did_you_mean
from hisauto.model.yamltext import Document, Path

_HINTS = {
    "by": "roles, and how many people of each: by: {dba_lead: 1}",
    "go_on": "say why: unreachable: {go_on: a dead primary can't answer}",
    "version": "version: 1.0.0",
    "kind": "kind: emergency, drill, change, inspection or routine",
}


@dataclass(frozen=True)
class Source:
    """A parsed file, with the way from the model's paths back to what was written."""

    document: Document
    origins: dict[Path, Path] = field(default_factory=dict)
    """Where normalising moved things: model path → written path."""

    def written(self, path: Path) -> Path:
        """The path in the file of a path in the model."""
        for length in range(len(path), 0, -1):
            if (origin := self.origins.get(path[:length])) is not None:
                return (*origin, *path[length:])
        return path

    def problem(
        self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False, severity: Severity = "error"
    ) -> Problem:
        """A problem at the value of a model path, or at its key."""
        return self.document.problem(self.written(path), code, message, hint, key=key, severity=severity)

    def key(self, path: Path) -> str:
        """The innermost key in the file above a model path."""
        written = self.written(path)
        ends = range(len(written), 0, -1)
        return next((str(written[n - 1]) for n in ends if written[:n] in self.document.keys), "")

    def line(self, path: Path) -> int:
        """The line where the key of a model path stands."""
        return self.document.key_at(self.written(path))[0]


def from_pydantic(
    errors: Iterable[ErrorDetails], source: Source, root: type[BaseModel], at: Path, more: Mapping[str, Iterable[str]]
) -> list[Problem]:
    """Each finding at its place, in our words. ``more``: words beyond its fields that a model takes, by its name."""
    found = list(errors)
    return [_problem(e, source, root, at, more) for e in found if not any(_causes(other, e) for other in found)]


def _causes(inner: ErrorDetails, outer: ErrorDetails) -> bool:
    """pydantic calls a list too short when its items were refused."""
    depth = len(outer["loc"])
    return outer["type"] == "too_short" and len(inner["loc"]) > depth and inner["loc"][:depth] == outer["loc"]


def _problem(
    error: ErrorDetails, source: Source, root: type[BaseModel], at: Path, more: Mapping[str, Iterable[str]]
) -> Problem:
    loc = tuple(error["loc"])
    of_key = loc[-1:] == ("[key]",)
    loc = loc[:-1] if of_key else loc
    path = (*at, *loc)
    kind = error["type"]
    if kind == "extra_forbidden":
        model = _model_at(root, loc[:-1])
        known = [*_words(model), *more.get(model.__name__, ())]
        word = str(loc[-1])
        return source.problem(path, "HA101", f"unknown word {word!r}", did_you_mean(word, known), key=True)
    if kind == "missing":
        word = str(loc[-1])
        return source.problem(path[:-1], "HA102", f"{word!r} is missing", _HINTS.get(word, ""))
    key = source.key(path)
    prefix = f"{key}: " if key else ""
    return source.problem(path, "HA103", prefix + _said(error), key=of_key)


def _said(error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx") or {}
    value = error["input"]
    got = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else f"{str(value)[:40]!r}"
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"expected {context['expected'].replace(chr(39), '')}, not {got}"
        case "tuple_type" | "list_type":
            return f"expected a list, not {got}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"expected a mapping, not {got}"
        case "string_type":
            return f"expected text, not {got}"
        case "too_short":
            return "it is empty; at least one is needed"
        case _:
            return error["msg"][:1].lower() + error["msg"][1:]


def _words(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items() if name not in ("action", "part")]


def _model_at(root: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that a location leads into, for the words it knows."""
    model, free = root, False  # free: the next part is a mapping's key, not a field
    for part in loc:
        if isinstance(part, int):
            continue
        if free:
            free = False
            continue
        inner, free = inner_model(model, part)
        model = inner or model
    return model


def inner_model(model: type[BaseModel], word: str) -> tuple[type[BaseModel] | None, bool]:
    """The model of what stands under a word, and whether that is a mapping of such under free names."""
    info = next((i for name, i in model.model_fields.items() if word == (i.alias or name)), None)
    return _inner(info.annotation) if info is not None else (None, False)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        found, _ = _inner(argument)
        if found is not None:
            return found, get_origin(annotation) is dict
    return None, get_origin(annotation) is dict
