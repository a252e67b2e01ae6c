"""Every fault of the machines lab does what its line in docs/lab.md says, and its heal undoes it."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import pytest

import lab
from hisauto.cli.labs import FAULTS as OF_THE_COMMAND_LINE
from lab import layout
from lab.errors import LabError
from lab.machines import faults

from .. import labs
from ..labs import REPOSITORY, Hospital

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

Seen = Callable[[Hospital], object]


@dataclass(frozen=True)
class Case:
    """Where a fault is tried, what is seen without it and with it."""

    host: str
    look: Seen
    whole: object
    broken: object
    peer: str | None = None


LISTEN = """import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(('', 9999))
line.settimeout(4)
print('listens', flush=True)
try:
    print(line.recv(9).decode())
except TimeoutError:
    print('nothing')"""


def reach(host: str, port: int) -> Seen:
    return lambda hospital: hospital.reach(host, port)


def state(host: str) -> Seen:
    """Power, service, and whether its sshd says anything."""

    def look(hospital: Hospital) -> object:
        seen = lab.status(hospital.site).hosts[host]
        return seen.power, seen.service

    return look


def boot_changes(hospital: Hospital) -> object:
    """The same as when it was last asked?"""
    labs.until(lambda: hospital.reach("ins1", layout.SSH_PORT) == "accepted", 60)
    now = hospital.on("ins1", "cat /proc/sys/kernel/random/boot_id")
    before, boot_changes.before = getattr(boot_changes, "before", now), now  # type: ignore[attr-defined]
    return now != before


def hears(host: str, *others: str) -> Seen:
    """Which of the others a host can open a connection to, and which of them can to it."""

    def talks(hospital: Hospital, one: str, other: str) -> bool:
        probe = f"exec 3<>/dev/tcp/{hospital.address(other)}/{layout.SSH_PORT}"
        return hospital.on(one, f"timeout 2 bash -c '{probe}' 2>/dev/null && echo yes || true") == "yes"

    return lambda hospital: [talks(hospital, host, other) and talks(hospital, other, host) for other in others]


def deaf(hospital: Hospital) -> object:
    """Whether what app3 sends comes to db2, and what db2 sends to app3. UDP: nobody has to answer."""

    def comes(sender: str, receiver: str) -> bool:
        hospital.on(receiver, f"rm -f heard; (python3 -c \"{LISTEN}\" >heard 2>&1 </dev/null &)")
        labs.until(lambda: "listens" in hospital.on(receiver, "cat heard"))
        datagram = f"echo yes >/dev/udp/{hospital.address(receiver)}/9999"
        hospital.on(sender, f"for i in 1 2 3; do {datagram} 2>/dev/null || true; done")  # its own kernel may say no
        labs.until(lambda: hospital.on(receiver, "cat heard").split()[-1] in ("yes", "nothing"))
        return hospital.on(receiver, "cat heard").split()[-1] == "yes"

    return comes("app3", "db2"), comes("db2", "app3")


def slow(hospital: Hospital) -> object:
    """Whether 256 KiB take seconds."""
    began = time.monotonic()
    assert len(hospital.on("nhsa", "head -c 196608 /dev/zero | base64 -w0")) == 262144
    return time.monotonic() - began > 5


def room(hospital: Hospital) -> object:
    """Whether 64 KiB can be written."""
    return hospital.on("repo1", "head -c 64k /dev/zero 2>/dev/null >file && echo yes; rm -f file") == "yes"


def clocks(hospital: Hospital) -> object:
    """By how many hours the service's clock differs from this machine's, and its host's."""
    with urllib.request.urlopen(f"{hospital.facts['urls']['app1']}/live", timeout=8) as answer:
        at = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    return round((at - time.time()) / 3600), round((int(hospital.on("app1", "date +%s")) - time.time()) / 3600)


def certificate(hospital: Hospital) -> object:
    tls = hospital.facts["tls"]
    try:
        context = ssl.create_default_context(cafile=tls["ca"])
        with urllib.request.urlopen(f"{tls['url']}/health", timeout=8, context=context) as answer:
            return answer.status
    except urllib.error.URLError as error:
        return "expired" if "expired" in str(error.reason) else str(error.reason)


def version(hospital: Hospital) -> object:
    """Installed; what its health check answers; whether the bad one is on offer."""
    installed = hospital.on("app2", "dpkg-query -W -f '${Version}' his-registration")
    health = f"curl -s -o /dev/null -w '%{{http_code}}' {hospital.facts['urls']['app2']}/health"
    return [installed, hospital.on("app2", f"{health} || true"), "_1.1_" in hospital.on("repo1", "ls /srv/apt/pool")]


def meets(host: str, port: int, *others: str) -> Seen:
    """How a host meets a new connection of others: the exit of a shell that opens one; 1: refused, 124: silent."""
    probe = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{{}}/{port}' 2>/dev/null; echo $?"
    return lambda hospital: [hospital.on(other, probe.format(hospital.address(host))) for other in others]


CASES: dict[str, Case] = {
    "power-cut": Case("db2", reach("db2", layout.SSH_PORT), "accepted", "silent"),
    "hang": Case("db1", state("db1"), ("on", "running"), ("hung", "unknown")),
    "reboot": Case("ins1", boot_changes, False, True),
    "service-kill": Case("repo1", reach("repo1", layout.HTTP_PORT), "accepted", "refused"),
    "service-stop": Case("app1", state("app1"), ("on", "running"), ("on", "stopped")),
    "out-of-memory": Case("app3", state("app3"), ("on", "running"), ("on", "stopped")),
    "partition": Case("db1", hears("db1", "app1", "db2"), [True, True], [True, False], "db2"),
    "deaf": Case("db2", deaf, (True, True), (False, True), "app3"),
    "mute": Case("db2", deaf, (True, True), (True, False), "app3"),
    "firewall": Case("db2", meets("db2", layout.PG_PORT, "app3", "app2"), ["0", "0"], ["1", "0"], "app3"),
    "slow-line": Case("nhsa", slow, False, True),
    "disk-full": Case("repo1", room, True, False),
    "clock": Case("app1", clocks, (0, 0), (-2, 0)),
    "expired-certificate": Case("lb1", certificate, 200, "expired"),
    "bad-package": Case("app2", version, ["1.0", "200", False], ["1.1", "503", True]),
}


@pytest.mark.parametrize("fault", faults.FAULTS)
def test_it_breaks_and_heals(hospital: Hospital, fault: str) -> None:
    case = CASES[fault]
    assert case.look(hospital) == case.whole
    try:
        lab.break_(hospital.site, fault, case.host, case.peer)
        assert case.look(hospital) == case.broken
    finally:
        lab.heal(hospital.site, case.host)
    labs.until(lambda: case.look(hospital) == case.whole, 30)
    if case.host.startswith("db"):
        hospital.on(case.host, "pg start")


def test_a_host_that_is_cut_off_from_the_node_is_healed_all_the_same(hospital: Hospital) -> None:
    lab.break_(hospital.site, "partition", "ins1", "node")
    assert hospital.reach("ins1", layout.SSH_PORT) == "silent"
    assert hospital.power("ins1", "status") == (0, "on")
    lab.heal(hospital.site, "ins1")
    assert hospital.reach("ins1", layout.SSH_PORT) == "accepted"


@pytest.mark.parametrize(
    ("fault", "host", "peer", "says"),
    [
        ("fire", "db1", None, "no fault 'fire'"),
        ("clock", "db1", None, "clock is not for db1"),
        ("partition", "db1", None, "takes a host and a peer"),
        ("hang", "db1", "db2", "takes no peer"),
        ("partition", "db1", "db9", "no host 'db9'"),
        ("reboot", "db9", None, "no host 'db9'"),
    ],
)
def test_what_there_is_not(hospital: Hospital, fault: str, host: str, peer: str | None, says: str) -> None:
    with pytest.raises(LabError, match=says) as caught:
        lab.break_(hospital.site, fault, host, peer)
    assert caught.value.hint


def test_the_table_in_the_docs_is_that_of_the_faults() -> None:
    assert faults.table() in (REPOSITORY / "docs/lab.md").read_text(), "put in: python -m lab.machines.faults"


def test_the_command_line_offers_every_fault() -> None:
    assert tuple(faults.FAULTS) == OF_THE_COMMAND_LINE
