"""What reaches the terminal: clean text, colour only where it is wanted, JSON in one form."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from datetime import datetime, timedelta
from typing import Any

import click

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC with their text
    r"|\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: object, *, lines: bool = False) -> str:
    """Text that can't control a terminal: no escape sequences, control characters, or changes of direction.

    One line, unless ``lines``: then line ends stay.
    """
    bare = _SEQUENCE.sub("", str(text)).replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    if not lines:
        bare = " | ".join(part for part in bare.split("\n") if part.strip()) if "\n" in bare else bare
    return "".join(c if c == "\n" or _printable(c) else "\ufffd" for c in bare)


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in _BIDI


def say(text: str = "") -> None:
    """A line for people who asked for it, on stdout."""
    click.echo(text)


def note(text: str) -> None:
    """A line beside the answer, on stderr."""
    click.echo(text, err=True)


def emit(value: Any, *, line: bool = False) -> None:
    """JSON on stdout; ``line``: on one line. ASCII, so that nothing in it can control a terminal."""
    click.echo(json.dumps(value, indent=None if line else 2, default=_plain))


def _plain(value: Any) -> Any:
    from hisauto.clock import stamp

    if isinstance(value, datetime):
        return stamp(value)
    return str(value)


def is_terminal() -> bool:
    """Somebody can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def unicode() -> bool:
    """Whether the output can show more than ASCII."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def duration(seconds: float | timedelta) -> str:
    """``0.3s``, ``42s``, ``4m05s``, ``2h03m``, ``3d04h``."""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    sign, value = ("-", -value) if value < 0 else ("", value)
    if value == 0:
        return "0s"
    if value < 9.95:
        return f"{sign}{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{sign}{whole}s"
    for size, unit, below, inner in ((60, "m", 1, "s"), (3600, "h", 60, "m"), (86400, "d", 3600, "h")):
        if whole < size * (24 if unit == "h" else 60) or unit == "d":
            return f"{sign}{whole // size}{unit}{whole % size // below:02d}{inner}"
    raise AssertionError("days take everything")
