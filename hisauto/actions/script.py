"""``script``: a program beside the runbook, run on the host by the interpreter that its first line names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import ClassVar

from pydantic import BaseModel, field_validator

from hisauto.actions.beside import content, encoded, path_beside, pinned, text
from hisauto.actions.command import Program
from hisauto.actions.common import Fields, Word, heredoc, spelled
from hisauto.errors import Invalid
from hisauto.model.action import Call, Needs, Place, Purpose, Typed
from hisauto.model.transport import Script as HostScript

SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
"""They take ``-s`` for a script on their standard input; other interpreters take ``-``."""
BEFORE = """\
for tool in base64 mktemp rm; do
  command -v $tool >/dev/null || { echo "$tool is missing on this host" >&2; exit 127; }
done
mask=$(umask)
umask 077
folder=$(mktemp -d) || exit 126
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' HUP INT TERM
"""
AFTER = """\
[ $? = 0 ] || exit 126
umask "$mask"
"""


class ScriptFields(Fields):
    """A file below the runbook's folder, and its arguments."""

    file: str
    args: tuple[Word, ...] = ()

    _path = field_validator("file")(path_beside)


class Script(Program):
    """Run a pinned script on the host. It is there while it runs, in a folder that only its user can read."""

    name: ClassVar[str] = "script"
    fields: ClassVar[type[BaseModel]] = ScriptFields
    scalar: ClassVar[str | None] = "file"

    def needs(self, fields: BaseModel) -> Needs:
        assert isinstance(fields, ScriptFields)
        return Needs(files=(fields.file,))

    def vet(self, fields: BaseModel, files: Mapping[str, bytes]) -> None:
        assert isinstance(fields, ScriptFields)
        interpreter(pinned(files, fields.file), fields.file)

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, ScriptFields)
        data = content(place, fields.file)
        file = f'"$folder"/{shlex.quote(PurePosixPath(fields.file).name)}'
        # Not by the file's own right to run: a temporary folder may be mounted noexec.
        command = f"{shlex.join(interpreter(data, fields.file))} {file} {shlex.join(fields.args)}".rstrip()
        return Call(HostScript(f"{BEFORE}base64 -d >{file} {heredoc(encoded(data))}{AFTER}{command}\n"))

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        """The file itself as the standard input of its interpreter: text, as it was pinned."""
        assert isinstance(fields, ScriptFields)
        data = content(place, fields.file)
        words = interpreter(data, fields.file)
        shell = PurePosixPath(words[0]).name in SHELLS
        words += ["-s" if shell else "-", *fields.args]
        shown = heredoc(text(data, fields.file).removesuffix("\n"))
        return Typed(f"{spelled(words)} {shown}".rstrip("\n"), simple=False)


def interpreter(data: bytes, name: str) -> list[str]:
    """The program that a script's first line names, and its one argument, as Linux reads it. Raises ``Invalid``."""
    first = data.partition(b"\n")[0]
    if b"\r" in first:
        raise Invalid(f"{name}:1: the lines end like in Windows (CR LF)", hint="save it with Unix line ends")
    words = first[2:].decode(errors="replace").strip(" \t").split(None, 1)
    if not first.startswith(b"#!") or not words or not words[0].startswith("/"):
        raise Invalid(f"{name}:1: the first line names no interpreter", hint="begin it with #!/bin/sh, for one")
    return words
