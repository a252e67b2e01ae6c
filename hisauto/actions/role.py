"""``role``, ``module``, ``playbook``: Ansible's, on one host, in a process on the node (``ansible.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from hisauto.actions.beside import path_beside, pinned
from hisauto.actions.common import Fields, spelled
from hisauto.actions.play import COUNTS, WENT_WELL, Play, host_of, read_play
from hisauto.errors import NotFound
from hisauto.model.action import Action, Call, Needs, Observation, OwnLook, Place, Purpose, Typed
from hisauto.model.transport import Completed
from hisauto.redact import mask, secrets_in
from hisauto.runbook.types import Flag


class RoleFields(Fields):
    """A role of the plan; ``vars`` are its parameters, which nothing overrides. They are data: Ansible expands none."""

    role: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
    vars: dict[str, Any] = Field({})
    facts: Flag = False
    """Gather facts first, which costs about a second."""

    @field_validator("role", mode="before")
    @classmethod
    def _fixed(cls, value: Any) -> Any:
        if isinstance(value, str) and "{{" in value:
            raise ValueError("a role is pinned when the run is planned: a template can't stand here")
        return value


class ModuleFields(Fields):
    """A module with its arguments. They are data: Ansible expands none."""

    name: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$")]
    args: dict[str, Any] = Field({})


class PlaybookFields(Fields):
    """A playbook beside the runbook, in a folder that is pinned with it; ``vars`` beat all others, and are data."""

    file: str
    vars: dict[str, Any] = Field({})

    @field_validator("file")
    @classmethod
    def _in_a_folder(cls, value: str) -> str:
        path = path_beside(value)
        if "/" not in path:
            raise ValueError(
                f"the folder of a playbook is pinned with it: give it one of its own, like playbooks/{path}"
            )
        return path


class _Ansible(Action):
    """What the three have in common."""

    can_look: ClassVar[bool] = False
    own_look: ClassVar[OwnLook | None] = OwnLook("changed == 0", settles=False)
    returns: ClassVar[Mapping[str, str]] = COUNTS
    default_expect: ClassVar[str | None] = WENT_WELL

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return purpose == "change"  # a look is Ansible's check mode

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        return read_play(done, purpose)


def _typed(words: list[str], place: Place, purpose: Purpose, secrets: tuple[str, ...]) -> Typed:
    """Ansible at a terminal, with the inventory's sources and the roles of the plan."""
    words = ["env", "ANSIBLE_PIPELINING=1", f"ANSIBLE_ROLES_PATH={place.files / 'roles'}", *words]
    words[4:4] = [word for source in place.inventory for word in ("-i", str(source))]
    words += ["--check"] if purpose == "look" else []
    return Typed(spelled([mask(word, secrets) for word in words]), on="node")


class Role(_Ansible):
    """Apply an Ansible role to a host."""

    name: ClassVar[str] = "role"
    fields: ClassVar[type[BaseModel]] = RoleFields
    scalar: ClassVar[str | None] = "role"
    secret_fields: ClassVar[frozenset[str]] = frozenset({"vars"})

    def needs(self, fields: BaseModel) -> Needs:
        assert isinstance(fields, RoleFields)
        return Needs(roles=(fields.role,))

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, RoleFields)
        host = host_of(place, f"role {fields.role}")
        if not (place.files / "roles" / fields.role).is_dir():
            raise NotFound(f"there is no role '{fields.role}' in the plan's files", hint="see the site's roles/")
        role = {"role": fields.role, "vars": fields.vars} if fields.vars else {"role": fields.role}
        play = {"name": fields.role, "hosts": host, "gather_facts": fields.facts, "roles": [role]}
        return Play({"play.yml": [play]}, ["play.yml"], secrets_in(fields.vars)).call(place, purpose)

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        """Ansible at a terminal, with the inventory's sources and the roles of the plan."""
        assert isinstance(fields, RoleFields)
        words = ["ansible", host_of(place, f"role {fields.role}"), "-m", "include_role", "-a", f"name={fields.role}"]
        words += ["-e", json.dumps(fields.vars, ensure_ascii=False)] if fields.vars else []
        return _typed(words, place, purpose, secrets_in(fields.vars))


class Module(_Ansible):
    """Run one Ansible module on a host."""

    name: ClassVar[str] = "module"
    fields: ClassVar[type[BaseModel]] = ModuleFields
    scalar: ClassVar[str | None] = None
    secret_fields: ClassVar[frozenset[str]] = frozenset({"args"})
    returns: ClassVar[Mapping[str, str]] = {**COUNTS, "result": "mapping: what the module returned, up to 256 KiB"}

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, ModuleFields)
        host = host_of(place, f"module {fields.name}")
        task = {"name": fields.name, fields.name: fields.args}
        play = {"name": fields.name, "hosts": host, "gather_facts": False, "tasks": [task]}
        return Play({"play.yml": [play]}, ["play.yml"], secrets_in(fields.args), results=True).call(place, purpose)

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        assert isinstance(fields, ModuleFields)
        words = ["ansible", host_of(place, f"module {fields.name}"), "-m", fields.name]
        words += ["-a", json.dumps(fields.args, ensure_ascii=False)] if fields.args else []
        return _typed(words, place, purpose, secrets_in(fields.args))


class Playbook(_Ansible):
    """Run an Ansible playbook, limited to a host. What it does is its own affair."""

    name: ClassVar[str] = "playbook"
    fields: ClassVar[type[BaseModel]] = PlaybookFields
    scalar: ClassVar[str | None] = "file"
    secret_fields: ClassVar[frozenset[str]] = frozenset({"vars"})
    opaque: ClassVar[bool] = True

    def needs(self, fields: BaseModel) -> Needs:
        assert isinstance(fields, PlaybookFields)
        return Needs(files=(fields.file, str(PurePosixPath(fields.file).parent)))

    def vet(self, fields: BaseModel, files: Mapping[str, bytes]) -> None:
        assert isinstance(fields, PlaybookFields)
        pinned(files, fields.file)

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, PlaybookFields)
        host = host_of(place, f"playbook {fields.file}")
        path = place.files.absolute() / place.beside / fields.file
        if not path.is_file():
            raise NotFound(f"there is no playbook '{fields.file}' in the plan's files")
        arguments = ["--limit", host, "-e", "@vars.yml", str(path)]
        return Play({"vars.yml": fields.vars}, arguments, secrets_in(fields.vars)).call(place, purpose)

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        assert isinstance(fields, PlaybookFields)
        words = ["ansible-playbook", str(place.files / place.beside / fields.file)]
        words += ["--limit", host_of(place, f"playbook {fields.file}")]
        words += ["-e", json.dumps(fields.vars, ensure_ascii=False)] if fields.vars else []
        return _typed(words, place, purpose, secrets_in(fields.vars))
