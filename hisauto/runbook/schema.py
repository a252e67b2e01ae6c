"""JSON Schema of the language as it is written: for editors, and for those who write runbooks by program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hisauto.model.action import Action
from hisauto.runbook.documents import Runbook
from hisauto.runbook.loader import STEP_WORDS

_SCALAR = {"type": ["string", "number", "boolean"]}


def json_schema(actions: Mapping[str, Action]) -> dict[str, Any]:
    """JSON Schema 2020-12. It is looser than ``check``: what needs a second look at the file is left to that.

    An action's own fields take text anywhere, because a template may stand there.
    """
    schema = Runbook.model_json_schema(by_alias=True, mode="validation")
    definitions: dict[str, Any] = schema["$defs"]
    written = {name: _written(action, definitions) for name, action in sorted(actions.items())}
    definitions |= {f"action.{name}": definition for name, definition in written.items()}
    looking = [name for name in written if actions[name].can_look]
    _give(definitions["Step"], list(written), STEP_WORDS, always=False)
    _give(definitions["Probe"], looking, (), always=False)
    _give(definitions["Undo"], list(written), (), always=True)
    del definitions["Call"]
    _never_null(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A hisauto runbook"}


def _never_null(schema: Any) -> None:
    """A word is left out or has a value: ``null`` is a state of the models, and in a file it is text."""
    if isinstance(schema, list):
        for item in schema:
            _never_null(item)
    if not isinstance(schema, dict):
        return
    if schema.get("default", "") is None:
        del schema["default"]
    for item in schema.values():
        _never_null(item)
    forms = schema.get("anyOf")
    if isinstance(forms, list) and {"type": "null"} in forms:
        forms.remove({"type": "null"})
        if len(forms) == 1:
            schema |= schema.pop("anyOf")[0]


def _give(definition: dict[str, Any], names: list[str], others: tuple[str, ...], *, always: bool) -> None:
    """Put the actions' keys where the model has ``action``: one at most, and one at least without ``expect``."""
    properties: dict[str, Any] = definition["properties"]
    del properties["action"]
    definition["required"] = [word for word in definition.get("required", []) if word != "action"]
    properties |= {name: {"$ref": f"#/$defs/action.{name}"} for name in names}
    one = [{"required": [word]} for word in (*names, *others)]
    if always:
        definition["oneOf"] = one
    else:
        definition["oneOf"] = [*one, {"required": ["expect"], "not": {"anyOf": one}}]


def _written(action: Action, definitions: dict[str, Any]) -> dict[str, Any]:
    """An action's value: its fields as a mapping, or its main field alone."""
    fields = action.fields.model_json_schema(
        by_alias=True, mode="validation", ref_template=f"#/$defs/{action.name}.{{model}}"
    )
    for name, definition in fields.pop("$defs", {}).items():
        definitions[f"{action.name}.{name}"] = definition
    for value in fields.get("properties", {}).values():
        _soften(value)
    forms: list[dict[str, Any]] = [fields]
    if action.scalar is not None:
        forms.append({**_SCALAR, "description": f"its {action.scalar}"})
        forms.append({"type": "array", "items": _SCALAR})
    return {"anyOf": forms} if len(forms) > 1 else fields


def _soften(value: dict[str, Any]) -> None:
    """Let a template stand for the value: ``anyOf`` what it was, or text."""
    kept = {key: value.pop(key) for key in list(value) if key not in ("title", "description", "default")}
    value["anyOf"] = [kept, _SCALAR] if kept else [{}]
