"""The words' types: each takes the text of a YAML scalar, or the value it was normalised to, and has its own message.

Normalised values are JSON, so that a frozen runbook can be read back: durations are float seconds, numbers and levels
ints, flags bools, all else text.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_TEXT = r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d))+"
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_LONGEST = 3650 * 86400.0
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_JINJA_WORDS = frozenset(("and", "or", "not", "in", "is", "if", "else", "elif", "for", "true", "false", "none"))


def _shown(value: Any) -> str:
    """The value as a message quotes it: short, and never more than its kind for what isn't a scalar."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    return f"'{text if len(text) <= 40 else text[:37] + '…'}'"


def _no_template(value: Any, what: str) -> None:
    if isinstance(value, str) and "{{" in value:
        raise ValueError(f"{what} is fixed when the runbook is checked: a template can't stand here")


def seconds(value: Any) -> float:
    """Seconds of ``90s``, ``5m``, ``1.5s``, ``1h30m``; a number is taken as seconds already. Raises ``ValueError``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        total = float(value)
    else:
        _no_template(value, "a duration")
        if not isinstance(value, str) or not re.fullmatch(_DURATION_TEXT, value):
            raise ValueError(f"expected a duration like 90s, 5m or 1h30m, not {_shown(value)}")
        parts = _DURATION_PART.findall(value)
        sizes = [DURATION_UNITS[unit] for _, unit in parts]
        if any(a <= b for a, b in pairwise(sizes)):
            raise ValueError(f"expected a duration with its units in order, like 1h30m, not {_shown(value)}")
        total = math.fsum(float(n) * DURATION_UNITS[unit] for n, unit in parts)
    if not 0 <= total <= _LONGEST:
        raise ValueError(f"expected a duration between 0s and 3650d, not {_shown(value)}")
    return total


def number(value: Any) -> int:
    """A whole number from 0 on. Raises ``ValueError``."""
    _no_template(value, "a number")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    raise ValueError(f"expected a whole number like 0 or 3, not {_shown(value)}")


def flag(value: Any) -> bool:
    """``true``, ``false``, ``yes`` or ``no``. Raises ``ValueError``."""
    _no_template(value, "a flag")
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    raise ValueError(f"expected true or false, not {_shown(value)}")


def _level(value: Any) -> int:
    if (isinstance(value, str) and re.fullmatch("[1-4]", value)) or (type(value) is int and 1 <= value <= 4):
        return int(value)
    raise ValueError(f"expected a fault level from 1 to 4, not {_shown(value)}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, not {_shown(value)}")
    if not value.strip():
        raise ValueError("expected text, and it is empty")
    return value


def _free(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, not {_shown(value)}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_]*", value):
        raise ValueError(f"expected a name of small letters, digits and _, like his_db, not {_shown(value)}")
    if value in _JINJA_WORDS:
        raise ValueError(f"{_shown(value)} is a word of the expressions and can't be a name")
    return value


def _batch_size(value: Any) -> str:
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and (match := re.fullmatch(r"([0-9]{1,9})(%?)", text)) and (
        not match[2] or int(match[1]) <= 100
    ):  # fmt: skip
        return text
    raise ValueError(f"expected a count or a percentage of the hosts, like 1 or 25%, not {_shown(value)}")


def _quorum(value: Any) -> int:
    if (count := number(value)) == 0:
        raise ValueError("a quorum of 0 approves nothing: expected 1 or more people")
    return count


def _each(value: Any) -> Any:
    if isinstance(value, str) and "{{" not in value:
        value = [value]
    if isinstance(value, dict) or not value:
        shown = _shown(value) if value else "nothing"
        raise ValueError(f"expected a list, or one template that gives a list, not {shown}")
    return value if isinstance(value, str) else tuple(value)


def _choices(value: Any) -> Any:
    if value and len(set(value)) < max(2, len(value)):
        raise ValueError("expected two choices or more, each once")
    if "no" in value:
        raise ValueError("'no' is no choice: it is what refuses at every gate")
    return value


def _otherwise(value: Any) -> Any:
    if value not in ("deny", "escalate"):
        raise ValueError(f"expected deny or escalate, not {_shown(value)}: a gate that nobody answers never opens")
    return value


def _matching(pattern: str, expected: str) -> BeforeValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(f"expected {expected}, not {_shown(value)}")
        return value

    return BeforeValidator(check)


def listed(value: Any) -> Any:
    """A scalar where a list may stand is a list of one."""
    return [value] if isinstance(value, str | int) else value


def short_for(field: str) -> Any:
    """A scalar where a mapping may stand fills this field of it."""

    def expand(value: Any) -> Any:
        return {field: value} if isinstance(value, str | int) else value

    return expand


# What an editor's YAML makes of an unquoted scalar. The loader reads all of them as text.
_SCALAR = {"type": ["string", "number", "boolean"]}

Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {"type": ["string", "number"], "pattern": f"^{_DURATION_TEXT}$", "examples": ["90s", "5m", "1h30m"]}
    ),
]
Number = Annotated[
    int, BeforeValidator(number), WithJsonSchema({"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+$"})
]
Flag = Annotated[
    bool, BeforeValidator(flag), WithJsonSchema({"enum": [True, False, "true", "false", "yes", "no"]})
]  # fmt: skip
Level = Annotated[int, BeforeValidator(_level), WithJsonSchema({"enum": [1, 2, 3, 4, "1", "2", "3", "4"]})]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema(_SCALAR)]
"""Text that must say something."""
FreeText = Annotated[str, BeforeValidator(_free), WithJsonSchema(_SCALAR)]
"""Text that may be empty."""
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": "^[a-z_][a-z0-9_]*$"})]
"""What expressions can call by name."""
Slug = Annotated[
    str,
    _matching(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*", "small letters, digits and hyphens, like database-failover"),
    WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*(-[a-z0-9_]+)*$"}),
]
"""A runbook's name."""
User = Annotated[
    str,
    _matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", "a user of the host, like postgres"),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.-]{0,31}$"}),
]
EnvName = Annotated[
    str,
    _matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable, like LC_ALL"),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
]
RuleCode = Annotated[
    str,
    _matching(r"HA[0-9]{3}", "a rule's code, like HA152"),
    WithJsonSchema({"type": "string", "pattern": "^HA[0-9]{3}$"}),
]
Language = Annotated[
    str,
    _matching(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a language like en or zh"),
    WithJsonSchema({"type": "string", "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"}),
]
Pattern = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
"""An Ansible host pattern; may hold templates."""
Template = Annotated[str, BeforeValidator(_free), WithJsonSchema(_SCALAR)]
"""Text that may hold ``{{ }}``."""
Expression = Annotated[str, BeforeValidator(_text), WithJsonSchema(_SCALAR)]
"""One Jinja2 expression without braces; ``check.py`` compiles it."""
_VERSION = r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?"
Version = Annotated[
    str, _matching(_VERSION, "a version like 1.2.0"), WithJsonSchema({"type": "string", "pattern": f"^{_VERSION}$"})
]
BatchSize = Annotated[
    str, BeforeValidator(_batch_size), WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]+%?$"})
]
"""A count or a percentage of the units; kept as text."""
Otherwise = Annotated[Literal["deny", "escalate"], BeforeValidator(_otherwise)]
Quorum = Annotated[
    int, BeforeValidator(_quorum), WithJsonSchema({"type": ["integer", "string"], "minimum": 1, "pattern": "^[1-9]"})
]

# Where a list may stand, one scalar may.
Names = Annotated[tuple[Name, ...], BeforeValidator(listed, json_schema_input_type=Name | tuple[Name, ...])]
Choices = Annotated[tuple[Name, ...], AfterValidator(_choices)]
Each = Annotated[
    str | tuple[Any, ...],
    BeforeValidator(_each),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "minItems": 1}]}),
]
"""Items, which may hold templates; or one template that gives a list."""
Texts = Annotated[tuple[Text, ...], BeforeValidator(listed, json_schema_input_type=Text | tuple[Text, ...])]
Templates = Annotated[
    tuple[Template, ...], BeforeValidator(listed, json_schema_input_type=Template | tuple[Template, ...])
]
Levels = Annotated[tuple[Level, ...], BeforeValidator(listed, json_schema_input_type=Level | tuple[Level, ...])]
BatchSizes = Annotated[
    tuple[BatchSize, ...],
    Field(min_length=1),
    BeforeValidator(listed, json_schema_input_type=BatchSize | tuple[BatchSize, ...]),
]
