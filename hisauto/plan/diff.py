"""What differs between two plans: nothing exactly when their digests are the same."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from hisauto.plan.plan import Plan
from hisauto.runbook.documents import Runbook

FOLLOWS = {"runbook_digest": "runbook"}
"""Fields that say nothing new when the other one differs."""


@dataclass(frozen=True)
class Difference:
    """One part of the plan that isn't the same."""

    part: str
    """``runbook``, ``params``, ``hosts``, ``locks``, ``files``, ``people``, …: the plan's own fields."""
    name: str
    """Of ``files``: which; else the same as ``part``."""
    lines: tuple[str, ...]
    """A unified diff."""


def differences(old: Plan, new: Plan, content: Callable[[str], bytes]) -> list[Difference]:
    """Part by part. ``content``: a pinned file by its SHA-256, of either plan."""
    before, after = old.to_json(), new.to_json()
    changed = [field for field in Plan.model_fields if before[field] != after[field]]
    found: list[Difference] = []
    for field in changed:
        if FOLLOWS.get(field) in changed:
            continue
        if field == "files":
            found += _files(old, new, content)
            continue
        a, b = _said(old, before, field), _said(new, after, field)
        if a == b:  # it differs in what isn't said: a default
            a, b = before[field], after[field]
        found.append(Difference(field, field, tuple(_unified(field, _text(a), _text(b)))))
    return found


def _said(plan: Plan, dumped: dict[str, Any], field: str) -> Any:
    """Without the defaults: what the author wrote."""
    value = getattr(plan, field)
    if isinstance(value, Runbook):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return dumped[field]


def _files(old: Plan, new: Plan, content: Callable[[str], bytes]) -> Iterator[Difference]:
    for path in sorted(old.files.keys() | new.files.keys()):
        a, b = old.files.get(path), new.files.get(path)
        if a != b:
            then, now = (_decoded(content(digest)) if digest is not None else "" for digest in (a, b))
            lines = tuple(_unified(path, then, now)) if then is not None and now is not None else ()
            yield Difference("files", path, lines or (f"{a or 'none'} -> {b or 'none'}",))  # binary, or empty


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, str | int):
        return f"{value}\n"
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=110)


def _unified(name: str, then: str, now: str) -> Iterator[str]:
    return difflib.unified_diff(then.splitlines(), now.splitlines(), f"{name} (then)", f"{name} (now)", lineterm="")
