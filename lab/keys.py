"""Keys and passwords of a lab: made on the spot, kept in its private folder, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from lab.layout import PG_PORT, SSH_PORT, Lab

PERSONS = ("dba-1", "dba-2", "duty-1", "director-1", "operator-1")


def private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, never readable by others in between."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def make_keys(lab: Lab) -> None:
    """A key for each host, for the node's SSH client, and for each person; kept until the lab is purged."""
    lab.keys.mkdir(exist_ok=True)
    for name in (*lab.hosts, "client", *PERSONS):
        key = lab.keys / name
        if not key.with_suffix(".pub").exists() or not key.exists():
            key.unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)


def write_known_hosts(lab: Lab) -> None:
    """Every host's public key under its address, for OpenSSH and paramiko alike."""
    lines = [f"[{lab.address(h)}]:{SSH_PORT} {' '.join(public(lab, h).split()[:2])}\n" for h in lab.hosts]
    (lab.keys / "known_hosts").write_text("".join(lines))


def public(lab: Lab, name: str) -> str:
    """The public key ``ssh-ed25519 AAAA… comment`` of a host, person or the client."""
    return (lab.keys / f"{name}.pub").read_text().strip()


def passwords(lab: Lab) -> dict[str, str]:
    """``{database role: password}`` as the database was made with."""
    found: dict[str, str] = json.loads(lab.passwords.read_text())
    return found


def pgpass(lab: Lab, *roles: str) -> str:
    """The text of a libpq password file for these roles."""
    known = passwords(lab)
    return "".join(f"*:*:*:{role}:{known[role]}\n" for role in roles)


def dsn(lab: Lab, host: str, role: str) -> str:
    """libpq's connection string without the password, which is in the lab's password file."""
    return f"host={lab.address(host)} port={PG_PORT} user={role} dbname=his passfile={lab.keys}/pgpass"
