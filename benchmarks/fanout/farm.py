"""Hosts to fan out to: real sshds on loopback addresses, and a user there who has no rc files."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NETWORK = "127.83.0"
PER_SERVER = 16
"""Addresses that one sshd listens on at most."""
SECONDS = 20.0
CONFIG = """Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
UseDNS no
MaxStartups 1000
MaxSessions 100
PrintMotd no
PrintLastLog no
LogLevel ERROR
{addresses}{environment}"""


@dataclass(frozen=True)
class Farm:
    """Running hosts, and what a client needs for them."""

    folder: Path
    user: str
    port: int
    hosts: tuple[str, ...]
    """Addresses."""
    keeper: subprocess.Popen[bytes]

    @property
    def key(self) -> Path:
        return self.folder / "client"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def home(self) -> Path:
        """The user's home on every host."""
        return self.folder / "home"

    def cpu(self) -> float:
        """CPU seconds of all servers so far, with all that has ended below them."""
        ticks = 0
        for pid in [self.keeper.pid, *children(self.keeper.pid)]:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until no connection and no command is left, so that every process's time is counted."""
        deadline = time.monotonic() + SECONDS
        servers = -(-len(self.hosts) // PER_SERVER)
        while len(below := children(self.keeper.pid)) != servers or any(map(children, below)):
            if time.monotonic() >= deadline:
                raise SystemExit(f"something is still at work on the hosts after {SECONDS:g} s")
            time.sleep(0.02)


@contextlib.contextmanager
def farm(count: int) -> Iterator[Farm]:
    """``count`` hosts, gone without a trace afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hisauto-fanout-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        with _user(folder / "home") as user:
            for name in ("host_key", "client"):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
            shutil.copy(folder / "client.pub", folder / "authorized_keys")
            (folder / "authorized_keys").chmod(0o644)
            hosts = tuple(f"{NETWORK}.{n}" for n in range(1, count + 1))
            port = _free_port(hosts[0])
            _known(folder, hosts, port)
            with _servers(folder, hosts, port) as keeper:
                yield Farm(folder, user, port, hosts, keeper)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _user(home: Path) -> Iterator[str]:
    """As root a system user of its own; else whoever runs this, with another home."""
    home.mkdir(mode=0o755)
    if os.geteuid() != 0:
        yield getpass.getuser()
        return
    name = f"hisauto-b{os.getpid()}"
    subprocess.run(
        ["useradd", "--system", "--no-create-home", "--home-dir", home, "--shell", "/bin/sh", "-p", "*", name],
        check=True,
    )
    try:
        entry = pwd.getpwnam(name)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        yield name
    finally:
        deadline = time.monotonic() + SECONDS
        while subprocess.run(["userdel", name], capture_output=True, check=False).returncode:
            if time.monotonic() >= deadline:
                raise SystemExit(f"the user {name} can't be removed: something of it still runs")
            time.sleep(0.1)


@contextlib.contextmanager
def _servers(folder: Path, hosts: tuple[str, ...], port: int) -> Iterator[subprocess.Popen[bytes]]:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    environment = "" if os.geteuid() == 0 else f"SetEnv HOME={folder}/home\n"
    configs = []
    for at in range(0, len(hosts), PER_SERVER):
        addresses = "".join(f"ListenAddress {host}\n" for host in hosts[at : at + PER_SERVER])
        configs.append(folder / f"sshd-{at}")
        configs[-1].write_text(CONFIG.format(port=port, folder=folder, addresses=addresses, environment=environment))
    with (folder / "sshd.log").open("ab") as log:
        argv = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), *map(str, configs)]
        keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=log)
    try:
        for host in hosts:
            _answers(host, port)
        yield keeper
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()


def _known(folder: Path, hosts: tuple[str, ...], port: int) -> None:
    key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text("".join(f"[{host}]:{port} {key}\n" for host in hosts))


def _free_port(address: str) -> int:
    with socket.socket() as s:
        s.bind((address, 0))
        return int(s.getsockname()[1])


def _answers(host: str, port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with socket.create_connection((host, port), 1) as s:
                if s.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() >= deadline:
            raise SystemExit(f"no sshd at {host}:{port} within {SECONDS:g} s")
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Of one process; none when it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
