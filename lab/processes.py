"""The process lab: its hosts are process trees of one user on loopback."""

from __future__ import annotations

import concurrent.futures
import shutil
from pathlib import Path

from lab import making
from lab.hostfiles import make_host, user
from lab.keys import make_keys, write_known_hosts
from lab.layout import DATABASES, Lab, Replication, free_prefix, load
from lab.postgres import bindir, copy_primary, make_template, release_all

VERSION = 1
"""Of the template and of what is in it; another one is made anew."""


def clear(folder: Path) -> None:
    """End whatever a lab left, in whatever state; keeps template, keys and code."""
    making.end_rack(folder)
    old = load(folder)
    if old is not None:
        release_all(old)
    for name in ("hosts", "sockets", "template.new"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("lab.json", "lab.json.new", "rack.pid", "rack.pid.new", "rack.log"):
        (folder / name).unlink(missing_ok=True)


def check_template(folder: Path) -> None:
    """Drop a template that another version of the lab, or another PostgreSQL, has made."""
    want, stamp = f"{VERSION} {bindir()}", folder / "template.version"
    if not stamp.exists() or stamp.read_text() != want:
        shutil.rmtree(folder / "template", ignore_errors=True)
        stamp.write_text(want)


def build(folder: Path, replication: Replication) -> Lab:
    """From whatever there is to a healthy lab in its initial state."""
    clear(folder)
    check_template(folder)
    lab = Lab(folder, free_prefix(folder), user(), replication).save()
    if not lab.template.exists():
        making.progress("making the database template")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        keys = pool.submit(make_keys, lab)
        make_template(lab)
        keys.result()
    write_known_hosts(lab)
    making.write_pgpass(lab)
    for host in lab.hosts:
        make_host(lab, host)
    copy_primary(lab, DATABASES[0])
    making.start_rack(lab)
    making.power_on(lab)
    making.start_databases(lab)
    making.wait_for_service(lab)
    return lab.finished().save()
