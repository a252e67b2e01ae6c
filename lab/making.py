"""Bringing a lab up: the steps that are the same whatever its hosts are made of."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab import database, proc, rack
from lab.errors import LabError
from lab.keys import dsn, pgpass, private, public
from lab.layout import DATABASES, HTTP_PORT, SSH_PORT, Lab
from lab.power import ask
from lab.ssh import on_host


def say(**what: object) -> None:
    """One JSON line to whoever gave the order."""
    print(json.dumps(what), flush=True)


def progress(text: str) -> None:
    say(progress=text)


@contextlib.contextmanager
def locked(folder: Path, seconds: float = 60.0) -> Iterator[None]:
    """One builder at a time. The kernel lets go when this process dies, however it dies."""
    with (folder / "lock").open("a") as lock:
        deadline = time.monotonic() + seconds
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress("waiting for another up or down")
                    told = True
                if time.monotonic() > deadline:
                    raise LabError(f"Another up or down has held {folder}/lock for {seconds:.0f} s") from None
                time.sleep(0.05)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(lock.fileno()).st_ino == (folder / "lock").stat().st_ino:
                yield
                return
        raise LabError("The lab was purged meanwhile", hint="try again")


def until(what: str, holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until it holds. Raises LabError."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s", hint="see hosts/HOST/log in the lab folder")
        time.sleep(0.02)


def accepts(address: str, port: int, seconds: float = 0.5) -> bool:
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


def healthy(address: str) -> bool:
    """Whether the registration service there says that it can serve."""
    try:
        with urllib.request.urlopen(f"http://{address}:{HTTP_PORT}/health", timeout=3) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def out_of_service(lab: Lab) -> str:
    """The first application that the proxy sends nothing to, be it drained or not answering; empty if there is none."""
    states = on_host(lab, "lb1", "; ".join(f"haproxy-set his/{app}" for app in lab.apps), 10).splitlines()
    return next((app for app, state in zip(lab.apps, states, strict=True) if not state.startswith("UP")), "")


def unhealthy(lab: Lab) -> str:
    """What is wrong with a lab that was built; empty if every part works, whichever database is the primary."""
    if rack.running(lab.folder) is None:
        return "it is not running"
    for host in lab.hosts:
        try:
            state = ask(str(lab.folder), host, "state", timeout=3).get("state")
        except (OSError, ValueError):
            return f"{host} has lost its power supply"
        if state != "on":
            return f"{host} is {state}"
    try:
        roles = {host: on_host(lab, host, "pg role", 10) for host in DATABASES}
        if sorted(roles.values()) != ["primary", "standby"]:
            return ", ".join(f"{host} is {role}" for host, role in roles.items())
        primary = next(host for host, role in roles.items() if role == "primary")
        lag = on_host(lab, primary, "pg lag", 10)
        if app := out_of_service(lab):
            return f"the proxy leaves {app} out"
    except LabError as error:
        return str(error)
    if f"|streaming|{lab.replication}|" not in lag:
        return f"{primary} has no {lab.replication} standby"
    return next((f"{app} can't serve" for app in lab.apps if not healthy(lab.address(app))), "")


def start_rack(lab: Lab) -> None:
    """Start the rack in a session of its own, and wait for its supervisors."""
    (lab.folder / "sockets").mkdir(mode=0o700)
    with (lab.folder / "rack.log").open("ab") as log:
        subprocess.Popen(  # outlives us on purpose
            [sys.executable, "-s", "-m", "lab.rack", str(lab.folder)],
            cwd=lab.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env={**os.environ, proc.MARK: str(lab.folder)},
        )  # fmt: skip
    until("the supervisors answer", lambda: all(_answers(lab, host) for host in lab.hosts))


def _answers(lab: Lab, host: str) -> bool:
    try:
        return "state" in ask(str(lab.folder), host, "state", timeout=2)
    except (OSError, ValueError):
        return False


def end_rack(folder: Path) -> None:
    """End the rack, which powers every host off, and whatever else carries the lab's mark."""
    pid = rack.running(folder)
    if pid is not None:
        proc.send([pid], signal.SIGTERM)
        with contextlib.suppress(LabError):
            until("the rack ends", lambda: proc.start_time(pid) is None, 15)
    proc.sweep(folder)


def power_on(lab: Lab) -> None:
    """Every host, side by side, until its sshd answers."""
    with concurrent.futures.ThreadPoolExecutor(len(lab.hosts)) as pool:
        for answer in pool.map(lambda host: ask(str(lab.folder), host, "on"), lab.hosts):
            if "error" in answer:
                raise LabError(f"{answer['host']}: {answer['error']}")
    for host in lab.hosts:
        until(f"sshd on {host} answers", functools.partial(accepts, lab.address(host), SSH_PORT), 60)
    progress(f"{len(lab.hosts)} hosts are on")


def start_databases(lab: Lab) -> None:
    """db1 as primary, db2 as its standby by a base backup, and synchronous if asked for."""
    primary, standby = DATABASES
    on_host(lab, primary, "pg start")
    progress(f"{primary} is the primary")
    on_host(lab, standby, f"pg clone {primary} && pg start", 120)
    on_host(lab, primary, f"pg sync {standby}" if lab.replication == "sync" else "pg sync none")
    progress(f"{standby} streams ({lab.replication})")


def knows_itself_synchronous(lab: Lab) -> bool:
    """Whether what the primary notes of its standby has got there: all that is left of it when the primary dies."""
    with database.connect(dsn(lab, DATABASES[1], "hisauto"), 2.0) as connection:
        row = connection.execute("select synchronous from replication_seen").fetchone()
    return row == (True,)


def wait_for_service(lab: Lab) -> None:
    """Until a registration can be made on every application, and through the proxy."""
    for host in (*lab.apps, "lb1"):
        until(f"registration through {host}", functools.partial(healthy, lab.address(host)))
    until("every application is in the proxy", lambda: not out_of_service(lab))
    if lab.replication == "sync":
        until("the standby knows that it is synchronous", functools.partial(knows_itself_synchronous, lab))
    progress("registration works")


def write_pgpass(lab: Lab) -> None:
    """The password file of those who look at the databases from outside."""
    private(lab.keys / "pgpass", pgpass(lab, "his", "hisauto", "watcher"))


def describe(lab: Lab, *, built: bool) -> dict[str, Any]:
    """What the site's files need to know of the inside."""
    return {
        "built": built, "prefix": lab.prefix, "replication": lab.replication, "user": lab.user,
        "keys": {path.stem: public(lab, path.stem) for path in sorted(lab.keys.glob("*.pub"))},
    }  # fmt: skip


