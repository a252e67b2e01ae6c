"""Building and tearing down, inside: runs as the lab's user, from the copy of this package in the lab folder.

``python -m lab.build DIR up|down OPTIONS`` with JSON lines on standard output: ``{"progress": …}``, then
``{"done": …}`` or ``{"error": …, "hint": …}``. Ends, with all it started but the rack, when whoever called it dies.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hisauto.errors import HisautoError
from lab import proc, rack
from lab.errors import LabError
from lab.hostfiles import make_host, make_keys, pgpass, private, public, user, write_known_hosts
from lab.layout import APPS, DATABASES, HOSTS, HTTP_PORT, SSH_PORT, Lab, Replication, free_prefix, load
from lab.postgres import bindir, copy_primary, make_template, release_all
from lab.power import ask
from lab.ssh import on_host

VERSION = 1
"""Of the template and of what is in it; another one is made anew."""


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def progress(text: str) -> None:
    say(progress=text)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One builder at a time. The kernel lets go when this process dies, however it dies."""
    with (folder / "lock").open("a") as lock:
        deadline = time.monotonic() + 60
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
                    raise LabError(f"Another up or down has held {folder}/lock for a minute") from None
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
    states = on_host(lab, "lb1", "; ".join(f"haproxy-set his/{app}" for app in APPS), 10).splitlines()
    return next((app for app, state in zip(APPS, states, strict=True) if not state.startswith("UP")), "")


def unhealthy(lab: Lab) -> str:
    """What is wrong with a lab that was built; empty if every part works, whichever database is the primary."""
    if rack.running(lab.folder) is None:
        return "it is not running"
    for host in HOSTS:
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
    return next((f"{app} can't serve" for app in APPS if not healthy(lab.address(app))), "")


def clear(folder: Path) -> None:
    """End whatever a lab left, in whatever state; keeps template, keys and code."""
    pid = rack.running(folder)
    if pid is not None:
        proc.send([pid], signal.SIGTERM)
        with contextlib.suppress(LabError):
            until("the rack ends", lambda: proc.start_time(pid) is None, 15)
    proc.sweep(folder)
    old = load(folder)
    if old is not None:
        release_all(old)
    for name in ("hosts", "sockets", "template.new"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("lab.json", "lab.json.new", "rack.pid", "rack.pid.new", "rack.log"):
        (folder / name).unlink(missing_ok=True)


def start_rack(lab: Lab) -> None:
    """Start the rack in a session of its own, and wait for its supervisors."""
    (lab.folder / "sockets").mkdir(mode=0o700)
    with (lab.folder / "rack.log").open("ab") as log:
        subprocess.Popen(  # outlives us on purpose
            [sys.executable, "-s", "-m", "lab.rack", str(lab.folder)], cwd=lab.folder, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True, env={**os.environ, proc.MARK: str(lab.folder)},
        )  # fmt: skip
    until("the supervisors answer", lambda: all(_answers(lab, host) for host in HOSTS))


def _answers(lab: Lab, host: str) -> bool:
    try:
        return "state" in ask(str(lab.folder), host, "state", timeout=2)
    except (OSError, ValueError):
        return False


def start_databases(lab: Lab) -> None:
    """db1 as primary, db2 as its standby by a base backup, and synchronous if asked for."""
    primary, standby = DATABASES
    on_host(lab, primary, "pg start")
    progress(f"{primary} is the primary")
    on_host(lab, standby, f"pg clone {primary} && pg start")
    on_host(lab, primary, f"pg sync {standby}" if lab.replication == "sync" else "pg sync none")
    progress(f"{standby} streams ({lab.replication})")


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
        progress("making the database template")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        keys = pool.submit(make_keys, lab)
        make_template(lab)
        keys.result()
    write_known_hosts(lab)
    private(lab.keys / "pgpass", pgpass(lab, "his", "hisauto", "watcher"))
    for host in HOSTS:
        make_host(lab, host)
    copy_primary(lab, DATABASES[0])
    start_rack(lab)
    for host in HOSTS:
        ask(str(folder), host, "on")
    for host in HOSTS:
        until(f"sshd on {host} answers", functools.partial(accepts, lab.address(host), SSH_PORT))
    progress(f"{len(HOSTS)} hosts are on")
    start_databases(lab)
    for host in (*APPS, "lb1"):
        until(f"registration through {host}", functools.partial(healthy, lab.address(host)))
    until("every application is in the proxy", lambda: not out_of_service(lab))
    progress("registration works")
    return lab.finished().save()


def up(folder: Path, replication: Replication, fresh: bool) -> dict[str, Any]:
    """A healthy lab; says whether it had to be built."""
    with locked(folder):
        lab = load(folder)
        why = "asked for a fresh one"
        if lab is not None and not fresh:
            why = "half-built" if not lab.complete else unhealthy(lab)
            if lab.replication != replication:
                why = f"replication is {lab.replication}"
            if not why:
                return describe(lab, built=False)
        if lab is not None:
            progress(f"building again: {why}")
        return describe(build(folder, replication), built=True)


def describe(lab: Lab, *, built: bool) -> dict[str, Any]:
    """What the site's files need to know of the inside."""
    return {
        "built": built, "prefix": lab.prefix, "replication": lab.replication, "user": lab.user,
        "keys": {path.stem: public(lab, path.stem) for path in sorted(lab.keys.glob("*.pub"))},
    }  # fmt: skip


def down(folder: Path, purge: bool) -> dict[str, Any]:
    """Nothing runs, nothing is left but, unless ``purge``, template, keys and code for the next ``up``."""
    with locked(folder):
        clear(folder)
        if purge:
            shutil.rmtree(folder)
    return {}


def main(argv: list[str]) -> int:
    """Run one order; see the module."""
    folder, options = Path(argv[0]), json.loads(argv[2])
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    proc.prctl(proc.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(options["caller"]):
        return 1  # it died before we could ask to be told
    os.umask(0o077)
    try:
        if argv[1] == "up":
            say(done=up(folder, options["replication"], options["fresh"]))
        else:
            say(done=down(folder, options["purge"]))
    except HisautoError as error:
        say(error=str(error), hint=error.hint)
        return 1
    except (OSError, subprocess.SubprocessError, TimeoutError) as error:
        say(error=f"{type(error).__name__}: {error}", hint=f"the lab's folder is {folder}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
