"""``command``: a program with its arguments, no shell in between. ``shell``: POSIX sh text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from hisauto.actions.common import Fields, Word, decode, first_line, never_began, spelled, unended
from hisauto.model.action import Action, Call, Observation, Place, Purpose, Typed
from hisauto.model.transport import Completed, Script

TEMPLATE = re.compile(r"""\{\{(?:'[^']*'|"[^"]*"|[^'"])*?\}\}|\{%(?:'[^']*'|"[^"]*"|[^'"])*?%\}""", re.DOTALL)
MARK = re.compile("\ue000([0-9]+)\ue001")

RETURNS = {
    "rc": "number: the exit code",
    "stdout": "text, without its trailing newlines",
    "stderr": "text, without its trailing newlines",
    "stdout_lines": "list of text",
}


def split(text: str) -> list[str]:
    """Words of a command line as a shell would quote them; what is in ``{{ }}`` stays whole. Raises ``ValueError``."""
    templates: list[str] = []

    def mask(match: re.Match[str]) -> str:
        templates.append(match[0])
        return f"\ue000{len(templates) - 1}\ue001"

    if "\ue000" in text or "\ue001" in text:
        raise ValueError("U+E000 and U+E001 can't stand in a command")
    try:
        words = shlex.split(TEMPLATE.sub(mask, text))
    except ValueError as e:
        raise ValueError(f"can't be split into words: {str(e).lower()}") from e
    return [MARK.sub(lambda m: templates[int(m[1])], word) for word in words]


def _argv(value: Any) -> Any:
    return split(value) if isinstance(value, str) else value


class CommandFields(Fields):
    """A string is split into words once, when the runbook is checked; a value with spaces in it stays one word."""

    argv: Annotated[tuple[Word, ...], BeforeValidator(_argv), Field(min_length=1)]


class ShellFields(Fields):
    """Text for ``sh``. Values are put into it as they are: quote them with care, or use ``command``."""

    script: Annotated[Word, Field(min_length=1)]


class Program(Action):
    """An action that is a program on the host: its exit code and its output."""

    can_look: ClassVar[bool] = True
    returns: ClassVar[Mapping[str, str]] = RETURNS
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return purpose == "change"  # a look is read-only on its author's word

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        """Exit code and output. Output that was cut short is left out: nothing can be told from a part of it."""
        unknown = unended(done) or never_began(done.rc, done, purpose)
        if unknown:
            return unknown
        if done.truncated:
            return Observation(True, {"rc": done.rc}, why="the output was longer than what is kept")
        out = decode(done.out)
        values = {"rc": done.rc, "stdout": out, "stderr": decode(done.err), "stdout_lines": out.splitlines()}
        return Observation(True, values, why=first_line(done.err) if done.rc else "")


class Command(Program):
    """Run a program on the host."""

    name: ClassVar[str] = "command"
    fields: ClassVar[type[BaseModel]] = CommandFields
    scalar: ClassVar[str | None] = "argv"

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, CommandFields)
        return Call(Script(f"exec {shlex.join(fields.argv)}\n"))

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        assert isinstance(fields, CommandFields)
        return Typed(spelled(fields.argv))


class Shell(Program):
    """Run a shell script on the host."""

    name: ClassVar[str] = "shell"
    fields: ClassVar[type[BaseModel]] = ShellFields
    scalar: ClassVar[str | None] = "script"

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, ShellFields)
        return Call(Script(fields.script if fields.script.endswith("\n") else fields.script + "\n"))

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        assert isinstance(fields, ShellFields)
        return Typed(fields.script.strip("\n"), simple=False)
