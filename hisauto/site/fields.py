"""What the parts of ``hisauto.yml`` are made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Entry(BaseModel):
    """A mapping somewhere in ``hisauto.yml``: frozen, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _path(value: Any) -> Any:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("expected a path, and it is empty")
        return Path(value).expanduser()
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", value):
        raise ValueError("expected a name of small letters, digits and _, like his_db")
    return value


FilePath = Annotated[Path, BeforeValidator(_path)]
"""Relative to the site's root; ``~`` is the home of whoever runs hisauto."""
Name = Annotated[str, AfterValidator(_name)]
"""What a runbook can call by name."""
