"""A real sshd on loopback, as whoever runs the tests, and the two kinds of host that keep receipts."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from hisauto.model.transport import Script, Session
from hisauto.transports.keys import Keys
from hisauto.transports.local import LocalTransport
from hisauto.transports.ssh import SshTransport

DEADLINE = 20.0
T = TypeVar("T")
STUBBORN = (
    "trap '' TERM; echo going; sleep {0} & setsid sleep {0} & (sleep {0} &); "
    "setsid sh -c 'trap \"\" TERM; sleep {0}' & sleep {0}"
)


def until(look: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """The first true answer; fails loudly after ``deadline`` seconds."""
    end = time.monotonic() + deadline
    while not (got := look()):
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.01)
    return got


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)
    return path


@dataclass(frozen=True)
class Sshd:
    """A running server and what a client needs for it."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    address: str = "127.0.0.1"

    @property
    def key(self) -> Path:
        return self.folder / "client"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def vars(self) -> dict[str, Any]:
        return {"ansible_host": self.address, "ansible_port": self.port, "ansible_user": getpass.getuser()}

    def connections(self) -> set[psutil.Process]:
        """The server's processes that hold a connection each. Not root's has a monitor of its own before it."""
        served = [p for p in self.tree()[1:] if called(p, "sshd")]
        above = set()
        for p in served:
            with contextlib.suppress(psutil.NoSuchProcess):
                above.add(p.ppid())
        return {p for p in served if p.pid not in above}

    def tree(self) -> list[psutil.Process]:
        """All that the server has started and still holds, itself first."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def shells(self, among: set[psutil.Process] | None = None) -> list[psutil.Process]:
        """The persistent shells, those of some connections or of all."""
        found = []
        for connection in self.connections() if among is None else among:
            try:
                found += [p for p in connection.children() if called(p, "sh", "dash", "bash")]
            except psutil.NoSuchProcess:
                continue
        return found


def called(process: psutil.Process, *names: str) -> bool:
    """False, too, for one that has just ended."""
    try:
        return process.name().split("-")[0] in names
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start_sshd(
    folder: Path, options: Mapping[str, str] | None = None, address: str = "127.0.0.1", within: Sequence[str] = ()
) -> Sshd:
    """Own host key, own client key, own port; its known_hosts knows it. ``within`` goes before its command."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "client"):
        if not (folder / name).exists():
            keygen(folder / name)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for _ in range(5):
        port = free_port()
        lines = {
            "Port": str(port),
            "ListenAddress": address,
            "HostKey": str(folder / "host_key"),
            "AuthorizedKeysFile": str(folder / "authorized_keys"),
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
            "MaxStartups": "100",
            "LogLevel": "ERROR",
            **(options or {}),
        }
        (folder / "sshd_config").write_text("".join(f"{k} {v}\n" for k, v in lines.items()))
        with (folder / "sshd.log").open("ab") as log:
            command = [*within, "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
            process = subprocess.Popen(command, stderr=log)
        if answers(address, port, process):
            break
    else:
        pytest.fail(f"sshd does not start: {(folder / 'sshd.log').read_text()}")
    kind, blob = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[{address}]:{port} {kind} {blob}\n")
    return Sshd(process, port, folder, address)


def answers(address: str, port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection((address, port), 1) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            time.sleep(0.02)
    return False


def stop_sshd(server: Sshd) -> None:
    if server.process.poll() is not None:
        return
    for p in [*server.connections(), psutil.Process(server.process.pid)]:
        try:
            p.kill()
        except psutil.NoSuchProcess:
            continue
    server.process.wait()


@dataclass
class Place:
    """A kind of host to test against: every call of ``session`` is a client of its own, as after a restart."""

    kind: str
    base: Path
    sshd: Sshd | None
    transports: list[SshTransport | LocalTransport]

    def transport(self, **options: Any) -> SshTransport | LocalTransport:
        made: SshTransport | LocalTransport
        options = {"base": str(self.base), **options}
        if self.sshd is None:
            made = LocalTransport(**options)
        else:
            options = {"known_hosts": [self.sshd.known_hosts], "keys": Keys([self.sshd.key]), **options}
            made = SshTransport(**options)
        self.transports.append(made)
        return made

    def session(self, run: str, **options: Any) -> Session:
        return self.transport(**options).session("host-1", self.vars, run)

    @property
    def vars(self) -> dict[str, Any]:
        return self.sshd.vars if self.sshd else {}


@dataclass
class Gate:
    """What a script waits at until the test lets it through."""

    path: Path

    @property
    def wait(self) -> str:
        return f"until [ -e '{self.path}' ]; do sleep .05; done"

    def open(self) -> None:
        self.path.touch()


def left(nap: str) -> list[int]:
    """Live processes whose arguments hold ``nap``."""
    found = []
    for p in psutil.process_iter(["cmdline", "status"]):
        if p.info["status"] != psutil.STATUS_ZOMBIE and any(nap in word for word in p.info["cmdline"] or ()):
            found.append(p.pid)
    return found


def begin(session: Session, attempt: str, script: str, place: str | None) -> threading.Thread:
    """An act in a thread of its own; returns once its script has started."""
    started = threading.Event()

    def act() -> None:
        session.act(attempt, 1, Script(f"echo begun; {script}"), place, on_output=lambda *_: started.set())

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    assert started.wait(10)
    return thread
