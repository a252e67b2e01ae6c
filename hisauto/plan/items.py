"""What a step with ``for_each`` goes through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hisauto.errors import Invalid
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Step
from hisauto.runbook.expressions import render_value

MOST = 1000
"""Items of one list: what is longer is a mistake, or a program's work."""


def items_of(step: Step, scope: Scope) -> list[Any]:
    """The items as they are now. Raises ``Invalid`` where that is no list, or one that is too long."""
    wanted = step.for_each
    found = render_value(wanted, scope.at(scope.here))
    if not isinstance(found, list):
        hint = "a list is what rows, json or `| list` give"
        raise Invalid(f"{wanted} has to be a list, and is {found!r}"[:200], hint=hint)
    if len(found) > MOST:
        raise Invalid(f"{wanted} has {len(found)} items, and {MOST} is the most")
    return found


def label(item: Any, limit: int = 40) -> str:
    """An item as one reads it: its text, or of a mapping its id or name."""
    if isinstance(item, Mapping):
        item = next((item[key] for key in ("id", "name") if key in item), item)
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
