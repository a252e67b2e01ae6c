"""``copy`` and ``template``: a file put on the host whole, by POSIX sh alone (``copy.sh``)."""

from __future__ import annotations

import base64
import difflib
import hashlib
import shlex
from collections.abc import Mapping
from importlib.resources import files as package
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from hisauto.actions.beside import checked, content, encoded, path_beside, pinned, text, variables
from hisauto.actions.command import split
from hisauto.actions.common import Fields, Word, decode, first_line, heredoc, spelled, unended
from hisauto.errors import UsageError
from hisauto.model.action import Action, Call, Needs, Observation, OwnLook, Place, Purpose, Typed
from hisauto.model.transport import Completed, Script
from hisauto.redact import mask, secrets_in
from hisauto.runbook.scope import RESERVED
from hisauto.runbook.templates import check_template, render_template
from hisauto.runbook.types import Flag

SHOWN = 32 << 10
"""Bytes of a file that a plan compares line by line."""
OWNER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$"


def _dest(value: str) -> str:
    if "{{" not in value:
        _absolute(value)
    return value


def _absolute(value: str) -> None:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or value.endswith("/") or {"\0", "\n"} & set(value):
        raise ValueError(f"expected the file's full path on the host, like /etc/his/app.conf, not '{value}'")


def _command(value: Any) -> Any:
    words = split(value) if isinstance(value, str) else value
    if isinstance(words, list | tuple) and words and not any("%s" in str(word) for word in words):
        raise ValueError("validate: %s has to stand where the command takes the new file's name")
    return words


class FileFields(Fields):
    """Where a file goes, and what it shall be like there. What isn't said stays as it is."""

    dest: Annotated[Word, Field(min_length=1)]
    mode: Annotated[str, Field(pattern=r"^[0-7]{3,4}$")] | None = None
    """Octal. A new file gets 0600."""
    owner: Annotated[Word, Field(pattern=OWNER)] | None = None
    group: Annotated[Word, Field(pattern=OWNER)] | None = None
    validate_: Annotated[tuple[Word, ...], BeforeValidator(_command)] = Field((), alias="validate")
    """A command that has to agree to the new file, which it gets for ``%s``, before the old one is replaced."""
    backup: Flag = False

    _full = field_validator("dest")(_dest)


class CopyFields(FileFields):
    """A file as it stands beside the runbook, or its content."""

    src: str | None = None
    content: Word | None = None

    @field_validator("src")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        return path_beside(value) if value is not None else None

    @model_validator(mode="after")
    def _one(self) -> CopyFields:
        if (self.src is None) == (self.content is None):
            raise ValueError("expected src (a file beside the runbook) or content, one of them")
        return self


class TemplateFields(FileFields):
    """A template that stands beside the runbook. It has the names that the runbook has there, and ``vars``."""

    src: str
    vars: dict[str, Any] = Field({})

    _path = field_validator("src")(path_beside)

    @field_validator("vars")
    @classmethod
    def _hides_nothing(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(RESERVED & set(value)):
            raise ValueError(f"'{name}' is a name that every template has already: choose another")
        return value


class _Put(Action):
    """What both have in common: only where the content is from differs."""

    scalar: ClassVar[str | None] = None
    can_look: ClassVar[bool] = False
    own_look: ClassVar[OwnLook | None] = OwnLook("not changed", settles=True)
    returns: ClassVar[Mapping[str, str]] = {
        "rc": "number: 0 when the file is as wanted",
        "changed": "flag: whether it was replaced (in a look: would be)",
        "sha256": "text: the content's SHA-256",
        "backup": "text: where the old file went, if it was kept",
    }
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return purpose == "change"

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        unknown = unended(done)
        if unknown:
            return unknown
        if done.rc != 0:  # it says why, and has changed nothing: the rename is the last that can fail
            return Observation(
                purpose == "change", {"rc": done.rc} if purpose == "change" else {}, first_line(done.err)
            )
        said = dict(line.partition(" ")[::2] for line in decode(done.out).splitlines())
        values = {"rc": 0, "changed": said["changed"] == "1", "sha256": said["sha256"]}
        if "backup" in said:
            values["backup"] = said["backup"]
        return Observation(True, values, why=said.get("differs", ""), diff=_diff(said))


def _script(fields: FileFields, data: bytes, purpose: Purpose) -> str:
    try:
        _absolute(fields.dest)
    except ValueError as e:
        raise UsageError(f"dest: {e}") from e
    checked(data, fields.dest)
    sum_ = hashlib.sha256(data).hexdigest()
    wanted = {
        "dest": fields.dest, "mode": f"{int(fields.mode, 8):o}" if fields.mode else "", "owner": fields.owner or "",
        "group": fields.group or "", "sum": sum_, "size": len(data), "backup": "1" if fields.backup else "",
    }  # fmt: skip
    head = variables(wanted) + package("hisauto.actions").joinpath("copy.sh").read_text(encoding="utf-8")
    tail = f"say sha256 {sum_}\n"
    if purpose == "change":
        return f"{head}write {shlex.join(fields.validate_)} {heredoc(encoded(data))}{tail}"
    if len(data) > SHOWN:
        return f"{head}show 0\n{tail}"
    # The new content comes back beside the old one: whoever reads the answer has nothing else to compare it with.
    new = shlex.quote(base64.b64encode(data).decode())
    return f"{head}show {SHOWN}\nif [ $content = other ]; then say dest \"$dest\"; say new {new}; fi\n{tail}"


def _diff(said: Mapping[str, str]) -> str:
    if "old" not in said or "new" not in said:
        return ""
    try:
        old, new = (base64.b64decode(said[name]).decode().splitlines() for name in ("old", "new"))
    except UnicodeDecodeError:
        return "(not text)"
    dest = said["dest"]
    return "\n".join(difflib.unified_diff(old, new, dest, f"{dest} (new)", lineterm=""))


def _typed(fields: FileFields, data: bytes, purpose: Purpose, secrets: tuple[str, ...]) -> Typed:
    """What a person does with the content before them: see whether it is there, or put it there."""
    shown = mask(text(data, fields.dest), secrets)
    private = shown.removesuffix("\n") if shown.endswith("\n") else shlex.quote(shown)
    head, _, body = heredoc(private).rstrip("\n").partition("\n")
    begin, end = (f"cat {head}", body) if shown.endswith("\n") else (f"printf %s {private}", "")
    if purpose == "look":
        return Typed(f"{begin} | diff {shlex.quote(fields.dest)} -\n{end}".rstrip(), simple=False, private=private)
    new = shlex.quote(f"{fields.dest}.new")
    steps = [f"{begin} >{new}\n{end}".rstrip()]
    if fields.owner or fields.group:
        owner = f"{fields.owner or ''}:{fields.group}" if fields.group else fields.owner
        steps.append(f"chown {owner} {new}")
    if fields.mode:
        steps.append(f"chmod {fields.mode} {new}")
    if fields.validate_:
        steps.append(spelled([word.replace("%s", f"{fields.dest}.new") for word in fields.validate_]))
    if fields.backup:
        steps.append(f"cp -p {shlex.quote(fields.dest)} {shlex.quote(fields.dest + '.old')}")
    steps.append(f"mv {new} {shlex.quote(fields.dest)}")
    return Typed("\n".join(["set -e", "umask 077", *steps]), simple=False, private=private)


class Copy(_Put):
    """Put a file on the host as it is."""

    name: ClassVar[str] = "copy"
    fields: ClassVar[type[BaseModel]] = CopyFields

    def needs(self, fields: BaseModel) -> Needs:
        assert isinstance(fields, CopyFields)
        return Needs(files=(fields.src,) if fields.src is not None else ())

    def vet(self, fields: BaseModel, files: Mapping[str, bytes]) -> None:
        assert isinstance(fields, CopyFields)
        if fields.src is not None:
            pinned(files, fields.src)

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        return Call(Script(_script(*self._data(fields, place), purpose), secrets=secrets_in(place.vars)))

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        return _typed(*self._data(fields, place), purpose, secrets_in(place.vars))

    def _data(self, fields: BaseModel, place: Place) -> tuple[CopyFields, bytes]:
        assert isinstance(fields, CopyFields)
        return fields, content(place, fields.src) if fields.src is not None else (fields.content or "").encode()


class Template(_Put):
    """Fill in a template and put it on the host."""

    name: ClassVar[str] = "template"
    fields: ClassVar[type[BaseModel]] = TemplateFields

    def needs(self, fields: BaseModel) -> Needs:
        assert isinstance(fields, TemplateFields)
        return Needs(files=(fields.src,))

    def vet(self, fields: BaseModel, files: Mapping[str, bytes]) -> None:
        assert isinstance(fields, TemplateFields)
        check_template(pinned(files, fields.src), fields.src)

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        fields, data, secrets = self._data(fields, place)
        return Call(Script(_script(fields, data, purpose), secrets=secrets))

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        fields, data, secrets = self._data(fields, place)
        return _typed(fields, data, purpose, secrets)

    def _data(self, fields: BaseModel, place: Place) -> tuple[TemplateFields, bytes, tuple[str, ...]]:
        assert isinstance(fields, TemplateFields)
        data = render_template(content(place, fields.src), fields.src, {**place.names, **fields.vars})
        return fields, data, (*secrets_in(fields.vars), *secrets_in(place.vars))
