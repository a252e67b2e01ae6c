"""``role``: an Ansible role on one host, by ansible-runner in a process on the node (``ansible.py``)."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import BaseModel, Field

from hisauto.actions.ansible import RESULT
from hisauto.actions.common import NOT_STARTED, Fields, first_line, never_began, secrets_in, unended
from hisauto.errors import NotFound, UsageError
from hisauto.model.action import Call, Observation, Place, Purpose
from hisauto.model.transport import Completed, Script
from hisauto.runbook.types import Flag

NEVER_CONNECTED = re.compile(
    r"ssh: connect to host|Host key verification failed|Permission denied \(|Could not resolve hostname"
)
TAGS = re.compile(r"\{[{%#]")


class RoleFields(Fields):
    """A role of the plan; ``vars`` are its parameters, which nothing overrides. They are data: Ansible expands none."""

    role: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
    vars: dict[str, Any] = Field({})
    facts: Flag = False
    """Gather facts first, which costs about a second."""


class Role:
    """Apply an Ansible role to a host."""

    name: ClassVar[str] = "role"
    fields: ClassVar[type[BaseModel]] = RoleFields
    scalar: ClassVar[str | None] = "role"
    can_look: ClassVar[bool] = False
    preview: ClassVar[bool] = True
    returns: ClassVar[Mapping[str, str]] = {
        "rc": "number: Ansible's exit code",
        "ok": "number of tasks that went well, changed ones included",
        "changed": "number of tasks that changed something (in a preview: would)",
        "failed": "number of failed tasks",
        "unreachable": "number: 1 when the host could not be reached",
        "skipped": "number of skipped tasks",
        "tasks": "list of {name, state, message}",
    }
    default_expect: ClassVar[str | None] = "rc == 0 and failed == 0 and unreachable == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return purpose == "change"  # a look is Ansible's check mode

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, RoleFields)
        if place.host is None:
            raise UsageError(f"role {fields.role}: needs a host, not the node itself", hint="give the step hosts:")
        if not (place.files / "roles" / fields.role).is_dir():
            raise NotFound(f"there is no role '{fields.role}' in the plan's files", hint="see the site's roles/")
        folder = _folder(fields, place, purpose)
        return Call(
            Script(
                f"exec {shlex.join([sys.executable, '-P', '-m', 'hisauto.actions.ansible', str(folder)])}\n",
                secrets=(*secrets_in(fields.vars), *secrets_in(place.vars)),
            ),
            on="node",
        )

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        unknown = unended(done) or never_began(done.rc, done, purpose)
        if unknown:
            return unknown
        last = done.out.decode(errors="replace").rstrip("\n").rpartition("\n")[2]
        if not last.startswith(RESULT):
            if done.rc in NOT_STARTED:
                return Observation(True, {"rc": done.rc}, why=first_line(done.err))
            return Observation(False, why=f"Ansible ended with {done.rc} without a result: {first_line(done.err)}")
        values: dict[str, Any] = json.loads(last.removeprefix(RESULT))
        bad = [t for t in values["tasks"] if t["state"] in ("failed", "unreachable")]
        why = values.pop("error") or "; ".join(f"{t['name']}: {t['message']}" for t in bad)
        lost = [t for t in bad if t["state"] == "unreachable" and not NEVER_CONNECTED.search(t["message"])]
        # Cut short, or the connection went in mid-task; or a preview that didn't get through.
        if values.pop("broken_off") or lost or (purpose == "look" and values["rc"] != 0):
            return Observation(False, why=why)
        return Observation(True, values, why=why)


class _Dumper(yaml.SafeDumper):
    """Marks text that looks like a template as ``!unsafe``: data is never evaluated a second time."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("!unsafe" if TAGS.search(value) else "tag:yaml.org,2002:str", value, style='"')


_Dumper.add_representer(str, _text)


def _folder(fields: RoleFields, place: Place, purpose: Purpose) -> Path:
    """A private folder (0700) with play and job: an attempt has one, and looks may be taken side by side.

    One that is there is left as it is: whoever takes an attempt over asks for its script again while Ansible may be at
    work in it. It appears whole, by one rename.
    """
    workdir = place.workdir.absolute()
    workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=workdir))
    _write(made, fields, place, purpose)
    if purpose == "look":
        return made
    folder = workdir / "change"
    try:
        made.rename(folder)
    except OSError as error:
        shutil.rmtree(made)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    return folder


def _write(folder: Path, fields: RoleFields, place: Place, purpose: Purpose) -> None:
    """Play and job (0600), the same for the same input."""
    role = {"role": fields.role, "vars": fields.vars} if fields.vars else {"role": fields.role}
    play = {"name": fields.role, "hosts": place.host, "gather_facts": fields.facts, "roles": [role]}
    job = {
        "inventory": [str(source.absolute()) for source in place.inventory],
        "files": str(place.files.absolute()),
        "known_hosts": str(place.known_hosts.absolute()) if place.known_hosts else None,
        "check": purpose == "look",
    }
    _private(folder / "play.yml", yaml.dump([play], Dumper=_Dumper, allow_unicode=True, sort_keys=False))
    _private(folder / "job.json", json.dumps(job, indent=1))


def _private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
