"""Files beside a runbook: how their paths are written, and what their content may be."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from hisauto.errors import Invalid, NotFound
from hisauto.model.action import Place

MOST = 10 << 20
"""Bytes of a file that goes to a host through its receipt."""


def path_beside(value: str) -> str:
    """A path from the runbook's folder, in its plainest form. Raises ``ValueError``."""
    if "{{" in value:
        raise ValueError("a file is pinned when the run is planned: a template can't stand here")
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts or path == PurePosixPath() or re.search(r"[\0\n]", value):
        raise ValueError(f"expected a path below the runbook's folder, like scripts/check.sh, not '{value}'")
    return str(path)


def pinned(files: Mapping[str, bytes], name: str) -> bytes:
    """The content of a file that a plan has pinned. Raises ``Invalid`` for a folder, and for one that is too large."""
    data = files.get(f"beside/{name}")
    if data is None:
        raise Invalid(f"'{name}' is no file", hint="name the file, not its folder")
    return checked(data, name)


def content(place: Place, name: str) -> bytes:
    """The same, of a run."""
    try:
        return (place.files / place.beside / name).read_bytes()
    except OSError as e:
        raise NotFound(f"'{name}' is not in the plan's files: {e.strerror}") from e


def checked(data: bytes, what: str) -> bytes:
    """``data``, if it isn't too large. Raises ``Invalid``."""
    if len(data) > MOST:
        raise Invalid(
            f"{what} has {len(data):,} bytes, and {MOST:,} is the most that goes to a host this way",
            hint="fetch it from where it is kept, with a command on the host",
        )
    return data


def text(data: bytes, what: str) -> str:
    """A file's content as a person can type it, whole. Raises ``Invalid``."""
    try:
        shown = data.decode()
    except UnicodeDecodeError:
        shown = "\0"
    if re.search(r"[\0-\x08\x0b-\x1f\x7f]", shown):
        raise Invalid(f"{what} is no text that can be typed: put the file itself there")
    return shown


def encoded(data: bytes) -> str:
    """base64 in lines that every decoder takes; ends without a newline."""
    return base64.encodebytes(data).decode().rstrip("\n")


def variables(values: Mapping[str, Any]) -> str:
    """Shell variables, one line."""
    return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in values.items()) + "\n"
