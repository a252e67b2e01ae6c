"""The machines lab: from whatever there is to a healthy one, and to nothing."""

from __future__ import annotations

import concurrent.futures
import json
import shutil
from pathlib import Path

from lab import making
from lab.errors import LabError
from lab.keys import make_keys, private, write_known_hosts
from lab.layout import DATABASES, Lab, Replication
from lab.machines import base, cgroups, inotify, names, network, package
from lab.machines.base import LOGIN
from lab.postgres import SCHEMA, new_passwords, roles
from lab.ssh import on_host


def clear(folder: Path) -> None:
    """End whatever a lab left, in whatever state: hosts, control groups, bridge, disks. Keeps keys and code."""
    making.end_rack(folder)
    cgroups.remove(names.group(folder))
    try:
        network.down(folder)
    except RuntimeError as error:
        raise LabError(str(error)) from None
    for name in ("hosts", "sockets", "packages"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("lab.json", "lab.json.new", "rack.pid", "rack.pid.new", "rack.log"):
        (folder / name).unlink(missing_ok=True)


def build(folder: Path, replication: Replication) -> Lab:
    """From whatever there is to a healthy lab in its initial state."""
    base.ready(making.progress)
    inotify.make_room(making.progress)
    clear(folder)
    try:
        prefix = network.free_prefix(folder)
        lab = Lab(folder, prefix, LOGIN, replication, "machines").save()
        network.up(folder, prefix)
    except RuntimeError as error:
        raise LabError(str(error)) from None
    make_keys(lab)
    private(lab.passwords, json.dumps(new_passwords()))
    write_known_hosts(lab)
    making.write_pgpass(lab)
    package.make(folder / "packages")
    making.start_rack(lab)
    making.power_on(lab)
    on_host(lab, "repo1", "repo index")
    make_database(lab)
    making.start_databases(lab)
    making.wait_for_service(lab)
    settle(lab)
    return lab.finished().save()


def settle(lab: Lab) -> None:
    """What the hosts are made of reaches their disks: a power cut takes what has not, and these are not new hosts."""
    with concurrent.futures.ThreadPoolExecutor(len(lab.hosts)) as pool:
        list(pool.map(lambda host: on_host(lab, host, "sync -f /"), lab.hosts))


def make_database(lab: Lab) -> None:
    """Roles and tables on the first database, whose cluster came with Debian's package."""
    primary = DATABASES[0]
    on_host(lab, primary, "pg start")
    passwords = json.loads(lab.passwords.read_text())
    own = f"alter role postgres password '{passwords['postgres']}'"
    for database, statements in (("postgres", [own, *roles(passwords)]), ("his", SCHEMA)):
        psql = f"cd / && sudo -n -u postgres psql -Xq -v ON_ERROR_STOP=1 -d {database}"
        on_host(lab, primary, psql, said="".join(f"{statement};\n" for statement in statements))
