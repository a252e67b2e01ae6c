"""The runbook with every word of the language has every word of the language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from hisauto.clock import SystemClock
from hisauto.runbook import documents
from hisauto.runbook.documents import Call, Doc, Part
from hisauto.runbook.loader import read_runbook

from .scenarios import EVERYTHING

PLANNED = {"Step.part"}
"""What the planner writes and no author."""


def said(value: Any) -> Iterator[str]:
    """Every word that a document says, as ``Model.field``."""
    if isinstance(value, BaseModel):
        for name in value.model_fields_set:
            yield f"{type(value).__name__}.{name}"
            yield from said(getattr(value, name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from said(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from said(part)


def test_it_says_every_word() -> None:
    models = [m for m in vars(documents).values() if isinstance(m, type) and issubclass(m, Doc)]
    words = {f"{m.__name__}.{name}" for m in models if m not in (Call, Part) for name in m.model_fields}
    text = EVERYTHING.runbook.read_bytes()
    read = read_runbook(text, "everything.yml", EVERYTHING.world(SystemClock()).actions)
    found = {word for word in said(read) if not word.startswith("Call.")}
    assert sorted(words - found - PLANNED) == []
