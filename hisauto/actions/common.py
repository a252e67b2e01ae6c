"""What the built-in actions share: strict fields, safe shell text, honest reading."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from hisauto.errors import UsageError
from hisauto.model.action import Observation, Place, Purpose
from hisauto.model.transport import Completed

NOT_STARTED = frozenset({126, 127})
"""Exit codes with which a shell says that it could not start a program."""
SAFE_INTEGER = 2**53 - 1
"""Canonical JSON (RFC 8785) goes no further; what is beyond comes as text."""


class Fields(BaseModel):
    """What stands under an action's key: frozen, unknown fields refused, written back by the language's names."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


def _word(value: Any) -> Any:
    """A rendered template may have kept its type: numbers, flags, and the names of several hosts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(isinstance(v, str) for v in value):
        return ",".join(value)
    return value


Word = Annotated[str, BeforeValidator(_word)]
"""Text that is handed on as one piece, whatever is in it."""


def heredoc(text: str) -> str:
    """``<<'END'`` with ``text`` behind it, byte for byte plus a last newline; goes at the end of a command's line."""
    end = "HISAUTO_END"
    while end in text:
        end += "_"
    return f"<<'{end}'\n{text}\n{end}\n"


def decode(data: bytes) -> str:
    """UTF-8; what isn't shows as U+FFFD. Trailing newlines go, as Ansible does it."""
    return data.decode(errors="replace").rstrip("\r\n")


def first_line(data: bytes) -> str:
    """The first line that says something, for a message."""
    return next((line.strip() for line in decode(data).splitlines() if line.strip()), "")


def unended(done: Completed) -> Observation | None:
    """For a script that didn't end by itself: nothing is known."""
    if done.how == "exit":
        return None
    return Observation(False, why="it ran out of time" if done.how == "timeout" else "it was killed before its end")


def never_began(rc: int, done: Completed, purpose: Purpose) -> Observation | None:
    """For a program that could not be started: a look saw nothing; a change is known not to have happened."""
    if rc not in NOT_STARTED or purpose == "change":
        return None
    return Observation(False, why=f"it could not be started (exit {rc}): {first_line(done.err)}")


def spelled(words: Sequence[str]) -> str:
    """A command line for people: like ``shlex.join``, with double quotes around what has single ones in it."""
    return " ".join(f'"{w}"' if "'" in w and not re.search(r'["$`\\!\n]', w) else shlex.quote(w) for w in words)


def variable(place: Place, name: str, what: str) -> Any:
    """A variable of the inventory that can't be done without. Raises ``UsageError`` naming host and variable."""
    value = place.vars.get(name)
    if value is None:
        raise UsageError(
            f"the inventory has no '{name}' for {place.host or 'the node'}",
            hint=f"set {name} in its host_vars or group_vars: {what}",
        )
    return value


def read_json(text: str) -> Any:
    """Parse JSON into what canonical JSON can carry. Raises ``ValueError``."""
    return json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _integer(text: str) -> int | str:
    return int(text) if len(text) < 20 and abs(int(text)) <= SAFE_INTEGER else text


def _float(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
