"""Hosts behind other hosts: real sshds, every hop's key checked, one connection to a jump host for all behind it."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hisauto.errors import HostKeyMismatch, Invalid, NotFound, Unreachable
from hisauto.model.transport import Fate, Lost, Script, Session
from hisauto.transports.address import Address
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

from .places import Sshd, free_port, keygen, stop_sshd, until


class Net:
    """Hosts a, b and c by name."""

    def __init__(self, servers: dict[str, Sshd], folder: Path) -> None:
        self.servers = servers
        self.vars = {name: dict(server.vars) for name, server in servers.items()}
        known = folder / "known"
        known.write_text("".join(server.known_hosts.read_text() for server in servers.values()))
        self.transport = SshTransport(
            known_hosts=[known], keys=Keys([s.key for s in servers.values()]), lookup=self.vars.__getitem__,
            base=str(folder / "receipts"), connect_timeout=5,
        )  # fmt: skip
        self.known = known

    def session(self, name: str, run: str = "run", **more: Any) -> Session:
        self.vars[name] |= more
        return self.transport.session(name, self.vars[name], run)

    def hop(self, name: str) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.servers[name].port}"

    def connected(self, name: str) -> int:
        return len(self.servers[name].connections())

    def left(self, name: str) -> bool:
        return self.connected(name) == 0


@pytest.fixture
def net(new_sshd: Callable[..., Sshd], tmp_path: Path) -> Iterator[Net]:
    made = Net({name: new_sshd() for name in "abc"}, tmp_path)
    yield made
    made.transport.close()


def test_by_way_of_two(net: Net) -> None:
    net.vars["b"]["hisauto_jump"] = "a"
    session = net.session("c", hisauto_jump="b")
    assert session.probe(Script("true")).rc == 0
    assert [net.connected(name) for name in "abc"] == [1, 1, 1]
    receipt = session.act("step", 1, Script("echo x"), session.place())
    assert receipt.fate is Fate.finished and receipt.completed and receipt.completed.out == b"x\n"
    session.close()
    for name in "abc":
        until(partial(net.left, name), f"no connection to {name}")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ansible_ssh_common_args", "-o ProxyJump={b}"),
        ("ansible_ssh_common_args", "-o ControlMaster=auto -oProxyJump={a},{b}"),
        ("ansible_ssh_common_args", "-J '{a},{b}'"),
        ("ansible_ssh_extra_args", "-C -J{b} -o ProxyJump={a}"),
        ("ansible_ssh_common_args", '-o "ProxyJump {b}"'),
    ],
)
def test_as_ansible_writes_it(net: Net, variable: str, text: str) -> None:
    session = net.session("c", **{variable: text.format(a=net.hop("a"), b=net.hop("b"))})
    assert session.probe(Script("echo x")).out == b"x\n"
    assert [net.connected(name) for name in "abc"] == [int("," in text), 1, 1]


def test_one_connection_for_all(net: Net) -> None:
    sessions = [net.session("c", f"run-{n}", hisauto_jump="a") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert {done.rc for done in pool.map(lambda s: s.probe(Script("true")), sessions)} == {0}
    assert (net.connected("a"), net.connected("c")) == (1, 8)


def test_comes_back_by_a_new_jump(net: Net) -> None:
    session = net.session("c", hisauto_jump="a")
    place = session.place()
    cut = threading.Timer(0.3, lambda: [connection.kill() for connection in net.servers["a"].connections()])
    cut.start()
    with pytest.raises(Lost):
        session.probe(Script("sleep 30"))
    cut.join()
    assert session.settle("step", 1, place).fate is Fate.none
    until(lambda: net.connected("c") == 1, "the end of the old connection")
    assert net.connected("a") == 1
    session.close()
    until(lambda: net.connected("a") == 0, "no lease of the jump host is left")


def test_every_hop_has_to_be_the_one_on_file(net: Net, tmp_path: Path) -> None:
    """Neither the jump host nor the host behind it is taken on trust."""
    kind, blob = keygen(tmp_path / "other").with_suffix(".pub").read_text().split()[:2]
    for n, name in enumerate("ac"):
        forged = tmp_path / f"forged-{name}"
        forged.write_text(f"[127.0.0.1]:{net.servers[name].port} {kind} {blob}\n")
        net.vars[name]["hisauto_known_hosts"] = str(forged)
        with pytest.raises(HostKeyMismatch) as caught:
            net.session("c", f"run-{n}", hisauto_jump="a").probe(Script("true"))
        assert str(net.servers[name].port) in str(caught.value) and caught.value.hint
        assert ("its jump host" in str(caught.value)) is (name == "a")
        del net.vars[name]["hisauto_known_hosts"]
    until(lambda: net.connected("c") == 0, "nobody logged in")


def test_what_is_wrong_with_the_way(net: Net, new_sshd: Callable[..., Sshd]) -> None:
    closed = net.session("c", "run-1", hisauto_jump="a", ansible_port=free_port())
    with pytest.raises(Unreachable, match=r"c \(.*by way of a \(.*no connection from there"):
        closed.probe(Script("true"))
    stop_sshd(net.servers["a"])
    with pytest.raises(Unreachable, match=r"c \(.*its jump host can't be reached: a \("):
        net.session("c", "run-2").probe(Script("true"))


def test_forwarding_forbidden(new_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    net = Net({"a": new_sshd(AllowTcpForwarding="no"), "c": new_sshd()}, tmp_path)
    with pytest.raises(Unreachable, match="forbids forwarding"):
        net.session("c", hisauto_jump="a").probe(Script("true"))
    until(lambda: net.connected("a") == 0, "the unused jump host's connection is closed")
    net.transport.close()


@pytest.mark.parametrize(
    ("vars", "said"),
    [
        ({"a": {"hisauto_jump": "b"}, "b": {"hisauto_jump": "a"}}, "a: its jump hosts go round in a circle: a → b → a"),
        ({"a": {"hisauto_jump": "a"}}, "circle: a → a"),
        ({"a": {"ansible_ssh_common_args": "-o ProxyCommand='nc %h %p'"}}, "a: a ProxyCommand can't be followed"),
        ({"a": {"ansible_ssh_common_args": "-J 'x y'"}}, "a: 'x y' is no jump host"),
        ({"a": {"ansible_ssh_common_args": "-o 'Proxy"}}, "can't be split into words"),
    ],
)
def test_refused_in_the_inventory(vars: dict[str, dict[str, Any]], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        Address.of("a", vars["a"], vars.__getitem__)
    assert said in str(caught.value)


def test_jump_host_that_is_not_there() -> None:
    def lookup(host: str) -> dict[str, Any]:
        raise NotFound(f"the inventory has no host {host!r}")

    with pytest.raises(NotFound):
        Address.of("a", {"hisauto_jump": "b"}, lookup)


@pytest.mark.parametrize("text", ["", "-o ProxyJump=none", "-C -o ServerAliveInterval=5", "-o ProxyCommand=none"])
def test_no_jump(text: str) -> None:
    assert Address.of("a", {"ansible_ssh_common_args": text}).jump is None
    assert Address.of("a", {"ansible_ssh_common_args": "-J ops@[::1]:2222"}).jump == Address("::1", "::1", 2222, "ops")
