"""Values on their way through an expression: as JSON, as text, through the filters and tests that runbooks get.

Everything that makes data pays for it out of a budget, so that no expression works without bound.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from jinja2 import Undefined
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.tests import TESTS as JINJA_TESTS

from hisauto.runbook.scope import Results

BUDGET = 4_000_000
"""How many characters and items one expression may make: far above any use, far below harm."""
SAFE_NUMBER = {int: 2**53 - 1, float: sys.float_info.max}
"""RFC 8785: integers that a double holds exactly; no infinity, nothing that isn't a number."""
_FROM_JINJA = (
    "abs", "count", "d", "default", "first", "last", "length", "lower", "map", "max", "min", "reject", "rejectattr",
    "select", "selectattr", "sort", "trim", "unique", "upper",
)  # fmt: skip
_TESTS = (
    "boolean", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "gt", "in", "integer", "le", "lower",
    "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string", "true", "upper", "==", "!=", "<",
    "<=", ">", ">=",
)  # fmt: skip

_left: ContextVar[int] = ContextVar("budget", default=BUDGET)

# What evaluation can raise for data that isn't what the author thought: never a reason to stop hisauto.
FAILURES = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TemplateRuntimeError, TypeError,
    ValueError,
)  # fmt: skip


def refill() -> None:
    """Begin an evaluation."""
    _left.set(BUDGET)


def spend(amount: int) -> None:
    left = _left.get() - amount
    if left < 0:
        raise SecurityError("the expression makes too much data")
    _left.set(left)


def weight(value: Any) -> int:
    if isinstance(value, str):
        return len(value) + 1
    if isinstance(value, Mapping):
        return 1 + sum(weight(k) + weight(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return 1 + sum(map(weight, value))
    return 1


def shown(value: Any) -> str:
    """A value as reasons quote it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str | int | float) else str(plain(value))
    return text if len(text) <= 80 else text[:79] + "…"


def plain(value: Any) -> Any:
    """A value as canonical JSON can carry it: results as mappings, lazy sequences as lists. Raises ``FAILURES``."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, int | float) and not abs(value) <= SAFE_NUMBER.get(type(value), 1):
        raise ValueError("the number is beyond what JSON can carry")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Results):
        return plain(value.to_json())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Iterable):
        items = []
        for item in value:
            spend(1)
            items.append(plain(item))
        return items
    raise TypeError("a function is not a value")


def _list(value: Any) -> list[Any]:
    """The ``list`` filter: of a sequence or a mapping's keys; text is one thing, not a list of characters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{shown(value)} is not a list")
    items = plain(list(value))
    assert isinstance(items, list)
    return items


def _string(value: Any) -> str:
    text = as_text(plain(value))
    spend(len(text))
    return text


def as_text(value: Any) -> str:
    """How a plain value reads in text. Raises ``TypeError`` for what has no one way to be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        raise TypeError("it is null; say what null means: | default('…', true)")
    raise TypeError("a list or mapping can't stand in text; say how: | join(' ') or | tojson")


def _tojson(value: Any) -> str:
    text = json.dumps(plain(value), ensure_ascii=False, sort_keys=True)
    spend(len(text))
    return text


def _from_json(value: Any) -> Any:
    """What a JSON text says, as data."""
    text = _string(value)
    return plain(json.loads(text))


def _quote(value: Any) -> str:
    """One word of a POSIX shell."""
    return shlex.quote(_string(value))


def _join(value: Any, separator: str = "") -> str:
    parts = [as_text(item) for item in _list(value)]
    spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _replace(value: str, old: str, new: str) -> str:
    if not old:
        raise ValueError("replace needs a text to look for")
    text = _string(value)
    spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _round(value: float, digits: int = 0) -> float:
    if not 0 <= digits <= 12:
        raise ValueError("round takes 0 to 12 digits")
    return round(value, digits)


def _sum(value: Any) -> float:
    numbers = _list(value)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise TypeError("sum is for numbers")
    return float(total) if isinstance(total := sum(numbers), float) else int(total)


def _int(value: Any, default: int | None = None) -> int:
    """A whole number; of what isn't one, the default if there is one, else an error: 0 would be a made-up answer."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return _or_fail(value, default)


def _float(value: Any, default: float | None = None) -> float:
    """Like ``int``, with a fraction."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return _or_fail(value, default)


_N = TypeVar("_N", int, float)


def _or_fail(value: Any, default: _N | None) -> _N:
    if default is None:
        raise ValueError(f"{shown(value)} is not a number")
    return default


def _known(name: str) -> Callable[..., bool]:
    """A test that doesn't answer for what is undefined."""
    test: Any = JINJA_TESTS[name]

    def ask(value: Any, *args: Any) -> bool:
        for item in (value, *args):
            if isinstance(item, Undefined):
                item._fail_with_undefined_error()
        return bool(test(value, *args))

    return ask


FILTERS: Mapping[str, Callable[..., Any]] = {name: JINJA_FILTERS[name] for name in _FROM_JINJA} | {
    "float": _float, "from_json": _from_json, "int": _int, "join": _join, "list": _list, "quote": _quote,
    "replace": _replace, "round": _round,
    "string": _string, "sum": _sum, "tojson": _tojson,
}  # fmt: skip
TESTS: Mapping[str, Any] = {name: _known(name) for name in _TESTS} | {
    name: JINJA_TESTS[name] for name in ("defined", "undefined")
}
