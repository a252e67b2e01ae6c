"""An action's fields before their templates are rendered: validated as far as that can be done."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from hisauto.errors import Invalid
from hisauto.model.action import Action

_ONE_TEMPLATE = re.compile(r"\{\{(?:(?!\}\}).)*\}\}", re.DOTALL)


def read_fields(action: Action, given: dict[str, Any]) -> tuple[BaseModel | None, list[ErrorDetails]]:
    """What the plugin makes of its fields, and what is wrong with them.

    A value that is one template and can't be validated yet (``timeout: "{{ params.t }}"``) stays as written and is no
    error; the engine validates it again once it is rendered. Everything else is normalised by the plugin's own model,
    or refused: text with a template in it that the plugin can't read now would be read after rendering, with data in
    the place of syntax.
    """
    try:
        return action.fields.model_validate(given), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    later = {str(e["loc"][0]) for e in errors if _waits(e)}
    real = [e for e in errors if not _waits(e)]
    if real or not later:
        return None, real or errors
    try:
        return _relaxed(action.fields, later).model_validate(given), []
    except ValidationError:
        return None, errors  # its own validators insist on the value: a template can't stand there


def unrendered(action: Action, fields: dict[str, Any]) -> BaseModel:
    """The plugin's model over fields that still hold templates, to ask it ``changes``. Raises ``Invalid``."""
    model, errors = read_fields(action, fields)
    if model is None:
        raise Invalid(f"{action.name}: {errors[0]['msg']}")
    return model


def _waits(error: ErrorDetails) -> bool:
    value = error["input"]
    return bool(error["loc"]) and isinstance(value, str) and _ONE_TEMPLATE.fullmatch(value) is not None


def _relaxed(model: type[BaseModel], names: set[str]) -> type[BaseModel]:
    """The same model, taking anything in the named fields (named as they are written)."""
    loose: dict[str, Any] = {
        name: (Any, Field(default=info.default, alias=info.alias))
        for name, info in model.model_fields.items()
        if (info.alias or name) in names
    }
    return create_model(model.__name__, __base__=model, **loose)
