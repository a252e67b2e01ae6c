"""A YAML file into a pydantic model, with the mistakes at their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hisauto.errors import NotFound
from hisauto.model import yamltext
from hisauto.model.problems import Problem, did_you_mean, invalid
from hisauto.model.yamltext import Document
from hisauto.model.yamltext import Path as Place

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "path_type": "a path",
    "float_type": "a duration like 10s",
    "float_parsing": "a duration like 10s",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_PRIVATE = ("database", "keys", "secrets")
"""Fields whose line is not shown with a mistake: it may hold what nobody should read."""


def read(path: Path, shown: str, model: type[M]) -> tuple[Document, M]:
    """Parse and validate. ``shown`` names the file in messages. Raises ``Invalid`` with every mistake, ``NotFound``."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{shown} can't be read: {error.strerror or error}") from error
    document = yamltext.load(text, shown)
    try:
        return document, model.model_validate(_blank_is_unset(document.value))
    except ValidationError as error:
        raise invalid([_problem(document, model, mistake) for mistake in error.errors(include_url=False)]) from None


def _blank_is_unset(value: yamltext.Value) -> Any:
    # `people:` with nothing behind it is an empty section to whoever wrote it, not a text.
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item != ""}
    return value


def _problem(document: Document, model: type[BaseModel], mistake: Mapping[str, Any]) -> Problem:
    place = _written(document, tuple(part for part in mistake["loc"] if part != "[key]"))
    kind = mistake["type"]
    if kind == "extra_forbidden":
        hint = did_you_mean(str(place[-1]), _fields(model, place[:-1]))
        return document.problem(place, "HA201", f"there is no field {place[-1]!r} here", hint, key=True)
    if kind == "value_error":
        message = str(mistake["ctx"]["error"])
    elif kind == "missing":
        message = f"{place[-1]!r} is missing"
    elif kind == "too_short":
        message = "it is empty; at least one is needed"
    elif kind in _EXPECTED:
        message = f"expected {_EXPECTED[kind]}, found {_kind(mistake['input'])}"
    else:
        message = str(mistake["msg"])
    code = "HA205" if "keys" in place and "people" in place else "HA202"
    on_key = "[key]" in mistake["loc"]
    problem = document.problem(place, code, message, key=on_key)
    if any(part in _PRIVATE for part in place):
        return Problem(problem.file, problem.line, problem.column, code, message)
    return problem


def _written(document: Document, place: Place) -> Place:
    """Without the number that one alone has where a list may stand."""
    path: Place = ()
    for part in place:
        path = path if isinstance(part, int) and (*path, part) not in document.places else (*path, part)
    return path


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, Sequence) else "something else"


def _fields(kind: Any, place: Place) -> list[str]:
    """The fields of the model at ``place`` under ``kind``."""
    for part in place:
        if isinstance(part, int):  # of a list, whose model stands for it
            continue
        if not _is_model(kind):
            kind = get_args(kind)[-1] if get_origin(kind) is dict else kind
        else:
            kind = next(i.annotation for name, i in kind.model_fields.items() if part == (i.alias or name))
        kind = _model_in(kind)
    return [i.alias or name for name, i in kind.model_fields.items()] if _is_model(kind) else []


def _model_in(kind: Any) -> Any:
    """The model that may stand alone, be left out, or be listed; what is no such thing stays."""
    if _is_model(kind) or get_origin(kind) is dict:
        return kind
    return next((found for part in get_args(kind) if _is_model(found := _model_in(part))), kind)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
