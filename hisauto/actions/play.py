"""What ``role``, ``module`` and ``playbook`` share: a play in a private folder, and what Ansible said of it."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hisauto.actions.ansible import RESULT
from hisauto.actions.common import NOT_STARTED, first_line, never_began, read_json, unended
from hisauto.errors import UsageError
from hisauto.model.action import Call, Observation, Place, Purpose
from hisauto.model.transport import Completed, Script
from hisauto.redact import secrets_in

NEVER_CONNECTED = re.compile(
    r"ssh: connect to host|Host key verification failed|Permission denied \(|Could not resolve hostname"
)
TAGS = re.compile(r"\{[{%#]")
COUNTS: Mapping[str, str] = {
    "rc": "number: Ansible's exit code",
    "ok": "number of tasks that went well, changed ones included",
    "changed": "number of tasks that changed something (in a preview: would)",
    "failed": "number of failed tasks",
    "unreachable": "number: 1 when the host could not be reached",
    "skipped": "number of skipped tasks",
    "tasks": "list of {name, state, message}",
}
WENT_WELL = "rc == 0 and failed == 0 and unreachable == 0"


@dataclass(frozen=True)
class Play:
    """What ansible-playbook is to run."""

    files: Mapping[str, Any]
    """YAML files of its folder, by name."""
    arguments: Sequence[str]
    """Of ansible-playbook, whose working directory is the folder."""
    secrets: tuple[str, ...] = ()
    results: bool = False
    """Whether what the last task returned is wanted, whole."""

    def call(self, place: Place, purpose: Purpose) -> Call:
        """A process on the node."""
        folder = self._folder(place, purpose)
        return Call(
            Script(
                f"exec {shlex.join([sys.executable, '-P', '-m', 'hisauto.actions.ansible', str(folder)])}\n",
                secrets=(*self.secrets, *secrets_in(place.vars)),
            ),
            on="node",
        )

    def _folder(self, place: Place, purpose: Purpose) -> Path:
        """A private folder (0700) with play and job: an attempt has one, and looks may be taken side by side.

        One that is there is left as it is: whoever takes an attempt over asks for its script again while Ansible may be
        at work in it. It appears whole, by one rename.
        """
        workdir = place.workdir.absolute()
        workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=workdir))
        self._write(made, place, purpose)
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

    def _write(self, folder: Path, place: Place, purpose: Purpose) -> None:
        """All of it 0600, the same for the same input."""
        job = {
            "inventory": [str(source.absolute()) for source in place.inventory],
            "files": str(place.files.absolute()),
            "known_hosts": str(place.known_hosts.absolute()) if place.known_hosts else None,
            "check": purpose == "look",
            "arguments": list(self.arguments),
            "results": self.results,
        }
        for name, content in self.files.items():
            _private(folder / name, yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False))
        _private(folder / "job.json", json.dumps(job, indent=1))


def host_of(place: Place, what: str) -> str:
    """The host that a play is for. Raises ``UsageError`` on the node."""
    if place.host is None:
        raise UsageError(f"{what}: needs a host, not the node itself", hint="give the step hosts:")
    return place.host


def read_play(done: Completed, purpose: Purpose) -> Observation:
    """Ansible's counts and tasks, and ``result`` where it was wanted."""
    unknown = unended(done) or never_began(done.rc, done, purpose)
    if unknown:
        return unknown
    last = done.out.decode(errors="replace").rstrip("\n").rpartition("\n")[2]
    if not last.startswith(RESULT):
        if done.rc in NOT_STARTED:
            return Observation(True, {"rc": done.rc}, why=first_line(done.err))
        return Observation(False, why=f"Ansible ended with {done.rc} without a result: {first_line(done.err)}")
    values: dict[str, Any] = read_json(last.removeprefix(RESULT))
    bad = [t for t in values["tasks"] if t["state"] in ("failed", "unreachable")]
    why = values.pop("error") or "; ".join(f"{t['name']}: {t['message']}" for t in bad)
    lost = [t for t in bad if t["state"] == "unreachable" and not NEVER_CONNECTED.search(t["message"])]
    # Cut short, or the connection went in mid-task; or a preview that didn't get through.
    if values.pop("broken_off") or lost or (purpose == "look" and values["rc"] != 0):
        return Observation(False, why=why)
    unchecked = [t["name"] for t in values["tasks"] if t["state"] == "unchecked"]
    if purpose == "look" and unchecked and not values["changed"]:
        return Observation(False, why=f"check mode can't tell what these would do: {', '.join(unchecked)}")
    return Observation(True, values, why=why)


class _Dumper(yaml.SafeDumper):
    """Marks text that looks like a template as ``!unsafe``: data is never evaluated a second time."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("!unsafe" if TAGS.search(value) else "tag:yaml.org,2002:str", value, style='"')


_Dumper.add_representer(str, _text)


def _private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
