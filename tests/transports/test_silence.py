"""Hosts that fall silent: frozen whole, or behind a network that drops everything; and live ones that say nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hisauto.errors import Unreachable
from hisauto.model.transport import Fate, Lost, Script, Session
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

from .places import Gate, Sshd, start_sshd, stop_sshd, until

SILENCE = 3.0
MARGIN = 3.0
"""Seconds that a loaded machine may be late."""
TORTURE = "HISAUTO_TORTURE" in os.environ


class Hosts:
    """Host ``c``, reached straight or by way of ``a``."""

    def __init__(self, servers: dict[str, Sshd], folder: Path, jump: bool = False) -> None:
        self.servers = servers
        known = folder / "known"
        known.write_text("".join(server.known_hosts.read_text() for server in servers.values()))
        found = {name: dict(server.vars) for name, server in servers.items()}
        if jump:
            found["c"]["hisauto_jump"] = "a"
        self.transport = SshTransport(
            known_hosts=[known], keys=Keys([s.key for s in servers.values()]), lookup=found.__getitem__,
            base=str(folder / "receipts"), connect_timeout=5, silence=SILENCE,
        )  # fmt: skip
        self.vars = found["c"]

    def session(self, **more: Any) -> Session:
        return self.transport.session("c", self.vars | more, "run")

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The server, its connections, its shells and what runs in them: only the kernel goes on answering."""
        tree = self.servers[name].tree()
        for p in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                p.suspend()
        try:
            yield
        finally:
            for p in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    p.resume()


@pytest.fixture
def hosts(new_sshd: Callable[..., Sshd], tmp_path: Path) -> Iterator[Callable[..., Hosts]]:
    made: list[Hosts] = []

    def make(jump: bool = False) -> Hosts:
        made.append(Hosts({name: new_sshd() for name in ("ac" if jump else "c")}, tmp_path, jump))
        return made[-1]

    yield make
    for each in made:
        each.transport.close()


class Call:
    """A call in a thread of its own, and how it ended."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self.ended = 0.0
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as e:
            self.error = e
        self.ended = time.monotonic()

    def lost(self, since: float) -> str:
        """What it said. It is lost in good time after ``since``, the moment when the host fell silent."""
        self._thread.join(SILENCE * 1.1 + MARGIN)
        assert not self._thread.is_alive(), "still waiting"
        assert isinstance(self.error, Lost), repr(self.error)
        # What came last may have come up to a third of the time before it was frozen.
        assert self.ended - since > SILENCE / 2
        return str(self.error)


def steadily(call: Callable[[], Any]) -> Any:
    """What it returns once the host is reached again."""

    def attempt() -> Any:
        try:
            return call()
        except Unreachable:
            return None

    return until(attempt, "the host is reached again")


def comes_back(session: Session, place: str | None, gate: Gate, effect: Path) -> None:
    """The same act is still at work on its host, is waited for, and has done its work once."""
    assert steadily(lambda: session.settle("step", 1, place)).fate is Fate.running
    gate.open()
    receipt = session.settle("step", 1, place, wait=20)
    assert receipt.fate is Fate.finished and receipt.completed and receipt.completed.rc == 3
    assert effect.read_text() == "x\n"


def work(effect: Path, gate: Gate) -> Script:
    return Script(f"echo x >>{effect}; {gate.wait}; exit 3")


@pytest.mark.parametrize(("jump", "falls"), [(False, "c"), (True, "c"), (True, "a")])
def test_frozen_in_mid_act(hosts: Callable[..., Hosts], tmp_path: Path, gate: Gate, jump: bool, falls: str) -> None:
    """TCP is fine all along: the kernel acknowledges what we ask, and nobody answers it."""
    net, effect = hosts(jump), tmp_path / "effect"
    session = net.session()
    place = session.place()
    call = Call(lambda: session.act("step", 1, work(effect, gate), place))
    until(effect.exists, "the step has begun")
    with net.frozen(falls):
        said = call.lost(time.monotonic())
    assert "lost while running step" in said and ("no sign of life from the host for 3 s" in said or falls == "a")
    comes_back(session, place, gate, effect)


@pytest.mark.parametrize("shell", ["posix", "none"])
def test_frozen_in_mid_probe(hosts: Callable[..., Hosts], tmp_path: Path, shell: str) -> None:
    net, begun = hosts(), tmp_path / "begun"
    session = net.session(hisauto_shell=shell)
    call = Call(lambda: session.probe(Script(f"touch {begun}; sleep 30", timeout=60)))
    until(begun.exists, "the look has begun")
    with net.frozen("c"):
        assert "no sign of life from the host for 3 s" in call.lost(time.monotonic())
    assert steadily(lambda: session.probe(Script("echo x"))).out == b"x\n"


@pytest.mark.parametrize("jump", [False, True])
def test_frozen_while_we_write(hosts: Callable[..., Hosts], jump: bool) -> None:
    """More than all buffers on the way take: whoever writes holds up all else on that connection, but not its end."""
    net = hosts(jump)
    session = net.session()
    session.probe(Script("true"))
    with net.frozen("c"):
        begun = time.monotonic()
        call = Call(lambda: session.probe(Script("#" * (32 << 20))))
        call.lost(begun)
    assert steadily(lambda: session.probe(Script("echo x"))).out == b"x\n"


def test_frozen_while_idle(hosts: Callable[..., Hosts]) -> None:
    """It is noticed without anybody waiting, and the next step makes a new connection."""
    net, threads = hosts(), set(threading.enumerate())
    session = net.session()
    session.probe(Script("true"))
    assert set(threading.enumerate()) - threads
    with net.frozen("c"):
        until(lambda: set(threading.enumerate()) <= threads, "the connection counts as lost")
    assert steadily(lambda: session.probe(Script("echo x"))).out == b"x\n"


def test_quiet_is_not_lost(hosts: Callable[..., Hosts]) -> None:
    """A command that says nothing for many times the silence, on a host with more to do than it can."""
    seconds = 60 if TORTURE else 12
    net = hosts()
    session = net.session()
    busy = f"timeout {seconds} sh -c 'while :; do :; done' & " * (psutil.cpu_count() or 1)
    script = Script(f"{busy} sleep {seconds}; echo x", timeout=seconds + 30)
    receipt = session.act("step", 1, script, session.place())
    assert receipt.completed and receipt.completed.out == b"x\n"
    assert len(net.servers["c"].connections()) == 1  # all on the first one


NODE = """
import sys
from pathlib import Path
from hisauto.model.transport import Script
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

known, key, base, port, begun = sys.argv[1:]
transport = SshTransport(known_hosts=[Path(known)], keys=Keys([Path(key)]), base=base, silence=1.5)
session = transport.session("c", {"ansible_host": "127.0.0.1", "ansible_port": port}, "run")
print(session.probe(Script(f"touch {begun}; sleep 5; echo whole")).out.decode(), end="")
transport.close()
"""


def test_frozen_node_asks_first(sshd: Sshd, tmp_path: Path) -> None:
    """Who was frozen himself, for longer than a host may be silent, doesn't hold that against the host."""
    begun = tmp_path / "begun"
    words = map(str, (sshd.known_hosts, sshd.key, tmp_path / "receipts", sshd.port, begun))
    with subprocess.Popen([sys.executable, "-c", NODE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as node:
        until(begun.exists, "the look has begun")
        node.send_signal(signal.SIGSTOP)
        time.sleep(3)  # the time that it is frozen for
        node.send_signal(signal.SIGCONT)
        out, err = node.communicate(timeout=30)
    assert (out, err) == (b"whole\n", b"")


def test_nothing_is_left(hosts: Callable[..., Hosts]) -> None:
    """No thread and no socket after the end: of connections in order, and of one that was lost."""

    def sockets() -> int:
        return sum(c.type == socket.SOCK_STREAM for c in psutil.Process().net_connections("inet"))

    threads, before = set(threading.enumerate()), sockets()
    net = hosts(jump=True)
    session = net.session()
    session.probe(Script("true"))
    assert sockets() > before and {t.name for t in set(threading.enumerate()) - threads} >= {"pulse"}
    with net.frozen("c"), pytest.raises(Lost):
        session.probe(Script("true"))
    steadily(lambda: session.probe(Script("true")))
    net.transport.close()
    until(lambda: set(threading.enumerate()) <= threads and sockets() == before, "no thread and no socket is left")


class Island:
    """A host in a network of its own, by a cable that can be pulled."""

    def __init__(self, folder: Path) -> None:
        self.name = f"hi{secrets.token_hex(4)}"
        self._inside = ["ip", "netns", "exec", self.name]
        net = f"10.213.{secrets.randbelow(254) + 1}"
        self._ip("netns", "add", self.name)
        try:
            self._ip("link", "add", self.name, "type", "veth", "peer", "name", "cable", "netns", self.name)
            self._ip("addr", "add", f"{net}.1/30", "dev", self.name)
            self._ip("link", "set", self.name, "up")
            self._ip("-n", self.name, "addr", "add", f"{net}.2/30", "dev", "cable")
            self.cable("up")
            self.server = start_sshd(folder, address=f"{net}.2", within=self._inside)
        except BaseException:
            self._ip("netns", "del", self.name)
            raise

    def cable(self, to: str) -> None:
        """``up`` or ``down``: nobody is told, on either side."""
        self._ip("-n", self.name, "link", "set", "cable", to)

    def sink(self) -> None:
        stop_sshd(self.server)
        self._ip("netns", "del", self.name)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def island(tmp_path: Path) -> Iterator[Island]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("a network of its own needs root and ip (iproute2)")
    try:
        made = Island(tmp_path / "island")
    except subprocess.CalledProcessError as e:
        pytest.skip(f"this machine gives no network namespace: {e.stderr.decode().strip()}")
    yield made
    made.sink()


def test_network_lost_in_mid_act(island: Island, tmp_path: Path, gate: Gate) -> None:
    net, effect = Hosts({"c": island.server}, tmp_path), tmp_path / "effect"
    session = net.session()
    place = session.place()
    call = Call(lambda: session.act("step", 1, work(effect, gate), place))
    until(effect.exists, "the step has begun")
    island.cable("down")
    call.lost(time.monotonic())
    island.cable("up")
    comes_back(session, place, gate, effect)
    net.transport.close()
