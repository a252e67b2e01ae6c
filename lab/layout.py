"""Where a lab lives and who is in it: folder, addresses, ports, and the record of what was built.

A lab belongs to a site. Its folder is derived from the site's path and lies under /var/tmp, because the lab's user
(never root, whom PostgreSQL refuses) may be unable to reach the site, and because unix sockets need short paths.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from lab.errors import LabError

Replication = Literal["sync", "async"]
Kind = Literal["processes", "machines"]
Tool = Literal["pg", "lb", "app", "repo", "none"]

BASE = Path("/var/tmp")  # noqa: S108 - the folder itself is 0700 and its owner is checked
SSH_PORT, PG_PORT, HTTP_PORT, TLS_PORT = 2222, 15432, 18080, 18443


@dataclass(frozen=True)
class Machine:
    """A host of the lab hospital: the last part of its address, its host tool, and the ports that clients use."""

    octet: int
    tool: Tool
    ports: tuple[int, ...]


HOSTS: dict[str, Machine] = {
    "db1": Machine(11, "pg", (SSH_PORT, PG_PORT)),
    "db2": Machine(12, "pg", (SSH_PORT, PG_PORT)),
    "lb1": Machine(21, "lb", (SSH_PORT, PG_PORT, HTTP_PORT)),
    "app1": Machine(31, "app", (SSH_PORT, HTTP_PORT)),
    "app2": Machine(32, "app", (SSH_PORT, HTTP_PORT)),
}
MORE_HOSTS: dict[str, Machine] = {
    "app3": Machine(33, "app", (SSH_PORT, HTTP_PORT)),
    "repo1": Machine(51, "repo", (SSH_PORT, HTTP_PORT)),
    "ins1": Machine(41, "none", (SSH_PORT,)),
    "nhsa": Machine(42, "none", (SSH_PORT,)),
}
"""Of the machines lab only."""
DATABASES = tuple(name for name, machine in HOSTS.items() if machine.tool == "pg")


def folder_of(site: Path) -> Path:
    """The lab folder of a site. The same site has the same folder, whoever asks."""
    return BASE / f"hisauto-lab-{hashlib.sha256(os.fsencode(site.resolve())).hexdigest()[:10]}"


@dataclass(frozen=True)
class Lab:
    """What was built, as recorded in the lab folder. ``complete`` is written last."""

    folder: Path
    prefix: str
    """The first three parts of every address, ``127.A.B`` or ``10.A.B``."""
    user: str
    """Whom ssh logs in as. Of the process lab: who owns it and is every host's only user."""
    replication: Replication
    kind: Kind = "processes"
    complete: bool = False

    @property
    def hosts(self) -> dict[str, Machine]:
        return HOSTS if self.kind == "processes" else {**HOSTS, **MORE_HOSTS}

    @property
    def apps(self) -> tuple[str, ...]:
        """The hosts of the registration service."""
        return tuple(name for name, machine in self.hosts.items() if machine.tool == "app")

    def address(self, host: str) -> str:
        return f"{self.prefix}.{self.hosts[host].octet}"

    def host(self, name: str) -> Path:
        return self.folder / "hosts" / name

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def template(self) -> Path:
        return self.folder / "template"

    @property
    def passwords(self) -> Path:
        """Of the database roles, JSON. In the process lab they are part of the template."""
        return (self.template if self.kind == "processes" else self.keys) / "passwords.json"

    def save(self) -> Lab:
        """Write the record, whole or not at all."""
        new = self.folder / "lab.json.new"
        new.write_text(json.dumps({**asdict(self), "folder": str(self.folder)}))
        new.replace(self.folder / "lab.json")
        return self

    def finished(self) -> Lab:
        return replace(self, complete=True)


def load(folder: Path) -> Lab | None:
    """The record of the lab in ``folder``; ``None`` if there is none that can be read."""
    try:
        data = json.loads((folder / "lab.json").read_text())
        return Lab(
            folder, str(data["prefix"]), str(data["user"]), data["replication"], data["kind"], bool(data["complete"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _candidates(folder: Path) -> Iterator[str]:
    """127.A.B from the folder's name, A and B away from what others use on loopback (127.0, 127.1, 127.53)."""
    for attempt in range(64):
        digest = hashlib.sha256(f"{folder}#{attempt}".encode()).digest()
        yield f"127.{64 + digest[0] % 190}.{1 + digest[1] % 253}"


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_prefix(folder: Path) -> str:
    """The first network of this folder's list whose every port is free."""
    for prefix in _candidates(folder):
        if all(_free(f"{prefix}.{m.octet}", port) for m in HOSTS.values() for port in m.ports):
            return prefix
    raise LabError(
        f"No free addresses: ports {SSH_PORT}, {PG_PORT} or {HTTP_PORT} are taken on 64 networks of 127.0.0.0/8",
        hint=f"look with: ss -ltn; something else listens on 0.0.0.0:{PG_PORT} or its like",
    )
