"""What is wrong with a file and where, said like a compiler says it."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hisauto.errors import Invalid

Severity = Literal["error", "warning"]

_RED, _YELLOW, _BOLD, _OFF = "\x1b[31;1m", "\x1b[33;1m", "\x1b[1m", "\x1b[0m"
_WINDOW = 160
"""Characters shown of a line that is longer."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake, or one thing to think about, at one place."""

    file: str
    """As the user knows it; relative paths stay relative."""
    line: int
    """From 1; 0: the file as a whole."""
    column: int
    """From 1, in characters; 0: the line as a whole."""
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"
    source_line: str = ""
    """The line it stands on, as it is in the file."""


def render(problem: Problem, color: bool = False, say: Callable[[str], str] = str) -> str:
    """``file:line:column: error: message [code]``, the line, a caret under the place, and the hint.

    ``say`` turns the words between them into the reader's language.
    """
    place = ":".join([problem.file, *(str(n) for n in (problem.line, problem.column) if n)])
    word = say(problem.severity)
    if color:
        place = f"{_BOLD}{place}{_OFF}"
        word = f"{_RED if problem.severity == 'error' else _YELLOW}{word}{_OFF}"
    lines = [f"{place}: {word}: {say(problem.message)} [{problem.code}]"]
    if problem.source_line and problem.line:
        margin = f"{problem.line:>5} | "
        start = max(0, problem.column - _WINDOW // 2) if len(problem.source_line) > _WINDOW else 0
        lines.append(margin + "".join(map(_shown, problem.source_line[start : start + _WINDOW])))
        if problem.column:
            before = problem.source_line[start : problem.column - 1]
            lines.append(" " * (len(margin) - 2) + "| " + " " * sum(map(_width, before)) + "^")
    if problem.hint:
        lines.append(f"      = {say(f'hint: {problem.hint}')}")
    return "\n".join(lines)


def invalid(problems: Sequence[Problem]) -> Invalid:
    """The error that carries them, in the order of the file; its message is the first one's."""
    ordered = sorted(problems)
    first = next((problem for problem in ordered if problem.severity == "error"), ordered[0])
    place = ":".join([first.file, *(str(n) for n in (first.line, first.column) if n)])
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return Invalid(f"{place}: {first.message}{more}", problems=tuple(ordered), hint=first.hint or None)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, if one is near."""
    names = list(known)
    folded = {name.lower(): name for name in names}
    found = difflib.get_close_matches(word, names, n=1) or difflib.get_close_matches(word.lower(), folded, n=1)
    return folded.get(found[0].lower(), found[0]) if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest name, or all names when they are few."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return "known: " + ", ".join(names) if 0 < len(names) <= 12 else ""


def _shown(character: str) -> str:
    # Nothing from a file may reach the terminal's control sequences.
    return character if character.isprintable() else " "


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
