"""The lab's controls, from outside: up, down, status, faults. This is what the command line calls."""

from __future__ import annotations

import concurrent.futures
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg

from lab import inside, layout, prereq, rack, ssh
from lab import site as sitefiles
from lab.errors import LabError
from lab.keys import dsn
from lab.layout import HTTP_PORT, PG_PORT, SSH_PORT, Kind, Lab, Replication, Tool
from lab.machines import faults
from lab.power import ask

Progress = Callable[[str], None]
FAULTS: dict[str, str] = {"power-cut": "power-cut", "hang": "hang", "service-kill": "kill", "service-stop": "stop"}
"""Fault → what the host's supervisor is told."""


STARTED: dict[Tool, tuple[int, ...]] = {"lb": (PG_PORT, HTTP_PORT), "app": (HTTP_PORT,), "repo": (HTTP_PORT,)}
"""Services that start with their host, and where they answer then."""


def _silent(_: str) -> None:
    pass


def up(
    site: Path, *, kind: Kind | None = None, replication: Replication = "sync", fresh: bool = False,
    progress: Progress = _silent,
) -> bool:  # fmt: skip
    """A healthy lab for ``site``; true if it had to be built.

    ``kind``: or else what ``HISAUTO_LAB`` demands, or what is here, or processes.

    From every state: nothing there, half-built, killed, broken by faults, or healthy, which is left as it is unless
    ``fresh``. Initial state: db1 primary, db2 its standby, the proxy pointed at db1. Raises LabError.
    """
    site = site.resolve()
    if not site.is_dir():
        raise LabError(f"{site} is not a folder")
    folder = layout.folder_of(site)
    stands = _kind(folder) if folder.exists() else None
    kind = kind or prereq.demanded() or stands or "processes"
    user = prereq.check(kind)
    if stands not in (None, kind):
        progress(f"ending the lab of {stands} that is here, and its keys with it")
        down(site, purge=True, progress=progress)
    inside.own_folder(folder, user)
    inside.install(folder, user)
    done = inside.run(folder, user, "up", {"kind": kind, "replication": replication, "fresh": fresh}, progress)
    lab = Lab(folder, done["prefix"], done["user"], done["replication"], kind, complete=True)
    sitefiles.generate(site, lab, done["keys"])
    return bool(done["built"])


def _kind(folder: Path) -> Kind:
    """Of the lab whose folder this is: that of machines is root's, and of processes nobody's but a user's."""
    return "machines" if folder.lstat().st_uid == 0 else "processes"


def down(site: Path, *, purge: bool = False, progress: Progress = _silent) -> None:
    """End everything and remove the generated files; ``purge`` the cached template and keys too. Raises LabError."""
    site = site.resolve()
    folder = layout.folder_of(site)
    if folder.exists():
        kind = _kind(folder)
        user = prereq.lab_user(kind)
        inside.own_folder(folder, user)
        inside.install(folder, user)
        inside.run(folder, user, "down", {"kind": kind, "purge": purge}, progress)
    sitefiles.remove(site)


@dataclass(frozen=True)
class HostStatus:
    """One host as found. ``unknown`` where it could not be told."""

    address: str
    power: Literal["on", "hung", "off", "unknown"]
    service: Literal["running", "stopped", "unknown"]
    role: Literal["primary", "standby", "none", "unknown"]
    """Of a database host whose PostgreSQL answers; ``none`` for all others."""
    processes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """The lab of a site. ``up`` means that it was built and its rack runs, not that it is healthy."""

    up: bool
    replication: Replication | None = None
    hosts: dict[str, HostStatus] = field(default_factory=dict)


def _host_status(lab: Lab, host: str) -> HostStatus:
    address, tool = lab.address(host), lab.hosts[host].tool
    try:
        answer = ask(str(lab.folder), host, "status", timeout=3)
        power, service, names = answer["state"], answer["service"], tuple(answer["processes"].values())
    except (OSError, ValueError, KeyError):
        return HostStatus(address, "unknown", "unknown", "unknown" if tool == "pg" else "none")
    role: Literal["primary", "standby", "none", "unknown"] = "none"
    if tool == "pg" and service != "stopped":
        role = "unknown" if power == "hung" else _role(lab, host)
    return HostStatus(address, power, service, role, names)


def _role(lab: Lab, host: str) -> Literal["primary", "standby", "unknown"]:
    try:
        with psycopg.connect(dsn(lab, host, "hisauto"), connect_timeout=2) as connection:
            row = connection.execute("select pg_is_in_recovery()").fetchone()
    except psycopg.Error:
        return "unknown"
    return "standby" if row and row[0] else "primary"


def status(site: Path) -> Status:
    """How every host stands. Asks each; changes nothing."""
    lab = layout.load(layout.folder_of(site.resolve()))
    if lab is None or not lab.complete or rack.running(lab.folder) is None:
        return Status(False)
    with concurrent.futures.ThreadPoolExecutor(len(lab.hosts)) as pool:
        found = dict(zip(lab.hosts, pool.map(lambda host: _host_status(lab, host), lab.hosts), strict=True))
    return Status(True, lab.replication, found)


def _running(site: Path) -> Lab:
    lab = layout.load(layout.folder_of(site.resolve()))
    if lab is None or rack.running(lab.folder) is None:
        raise LabError("The lab is not up", hint="bring it up first: lab up")
    return lab


def on_host(site: Path, host: str, command: str, seconds: float = 40.0) -> str:
    """Run a shell command on a host and return what it prints. Raises LabError, also if it fails."""
    return ssh.on_host(_running(site), host, command, seconds)


def _known(lab: Lab, host: str) -> None:
    if host not in lab.hosts:
        raise LabError(f"There is no host {host!r} in the lab", hint=f"hosts: {', '.join(lab.hosts)}")


def _order(lab: Lab, host: str, verb: str) -> dict[str, Any]:
    _known(lab, host)
    try:
        answer = ask(str(lab.folder), host, verb)
    except (OSError, ValueError) as error:
        why = f"{host}'s power supply does not answer: {error}"
        raise LabError(why, hint="lab up --fresh builds it again") from None
    if "error" in answer:
        raise LabError(f"{host}: {answer['error']}")
    return answer


def break_(site: Path, fault: str, host: str, peer: str | None = None) -> None:
    """Inject a fault; returns when it has happened. What each does: docs/lab.md. Raises LabError.

    ``peer``: whom it is cut off from, a host or ``node``.
    """
    lab = _running(site)
    able = (*FAULTS, *(faults.FAULTS.keys() - FAULTS if lab.kind == "machines" else ()))
    if fault not in faults.FAULTS:
        raise LabError(f"There is no fault {fault!r}", hint=f"faults: {', '.join(sorted(able))}")
    if fault not in able:
        raise LabError(f"A lab of {lab.kind} has no {fault}", hint="it takes: lab up --kind machines")
    _known(lab, host)
    if fault in FAULTS and peer is None:
        _order(lab, host, FAULTS[fault])
    else:
        faults.inject(lab, fault, host, peer)


def _wait(host: str, address: str, port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"{host} does not answer on {address}:{port} after {seconds:.0f} s: {error}") from None
            time.sleep(0.02)


def heal(site: Path, host: str | None = None) -> None:
    """Power on, thaw, undo every fault, start the proxy or application again; one host or all. Raises LabError.

    Never touches data, and never starts PostgreSQL: a primary that came back would be a second one.
    """
    lab = _running(site)
    for name in [host] if host else lab.hosts:
        state = _order(lab, name, "state")["state"]
        if state != "on":
            _order(lab, name, "thaw" if state == "hung" else "on")
        if state == "off":
            _wait(name, lab.address(name), SSH_PORT, 60)
        if lab.kind == "machines":
            faults.heal(lab, name)
        if state == "on" and lab.hosts[name].tool in STARTED:
            _order(lab, name, "start")
        for port in (SSH_PORT, *STARTED.get(lab.hosts[name].tool, ())):
            _wait(name, lab.address(name), port, 30)
