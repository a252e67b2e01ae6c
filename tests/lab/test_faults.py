"""Every fault does what it says, exactly, and every heal undoes it without touching data."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

import pytest

import lab
from lab import layout, proc
from lab.errors import LabError

from .. import labs
from ..labs import Hospital

pytestmark = pytest.mark.lab

DAEMON = """import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for f in range(3): os.close(f)
os.execvp("sleep", ["sleep", sys.argv[1]])"""


def sleepers(number: int) -> list[int]:
    """Live processes ``sleep NUMBER``, anywhere on the machine."""
    found = []
    for pid, (_, state) in proc.table().items():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if state not in "ZX" and line[:2] == [b"sleep", str(number).encode()]:
                found.append(pid)
    return found


def banner(hospital: Hospital, host: str, seconds: float = 1.0) -> bytes:
    """What sshd says first; nothing if it does not answer in time."""
    with socket.create_connection((hospital.address(host), layout.SSH_PORT), seconds) as line:
        line.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            return line.recv(4)
    return b""


def status(hospital: Hospital, host: str) -> tuple[str, str, str]:
    found = lab.status(hospital.site).hosts[host]
    return found.power, found.service, found.role


def test_a_power_cut_leaves_no_process_whatever_it_did_to_get_away(breakable: Hospital) -> None:
    storm = f"while :; do (sleep {(n := 700_000 + int(time.time()) % 100_000)} & ) ; (/bin/true) ; sleep .01; done"
    breakable.on("app1", f"setsid nohup sleep {n} >/dev/null 2>&1 &")
    breakable.on("app1", f"python3 -c '{DAEMON}' {n} </dev/null >/dev/null 2>&1")
    breakable.on("app1", f"setsid nohup bash -c '{storm}' >/dev/null 2>&1 &")
    labs.until(lambda: len(sleepers(n)) > 10)
    lab.break_(breakable.site, "power-cut", "app1")
    assert sleepers(n) == []
    assert lab.status(breakable.site).hosts["app1"].processes == ()


def test_a_cut_host_is_silent_and_wiped_and_comes_back_without_postgresql(breakable: Hospital) -> None:
    breakable.on("db1", "echo mark > ../run/receipts/mark; echo kept > kept")
    lab.break_(breakable.site, "power-cut", "db1")
    assert breakable.reach("db1", layout.SSH_PORT) == "silent"
    assert breakable.reach("db1", layout.PG_PORT) == "silent"
    assert breakable.reach("db2", layout.PG_PORT) == "accepted"
    assert status(breakable, "db1") == ("off", "stopped", "none")
    lab.heal(breakable.site, "db1")
    assert breakable.on("db1", "ls ../run/receipts; cat kept") == "kept"
    assert status(breakable, "db1") == ("on", "stopped", "none")
    assert breakable.reach("db1", layout.PG_PORT) == "refused"
    assert breakable.on("db1", "pg start && pg role") == "primary"  # the data is all there


def test_proxy_and_application_start_with_their_host(breakable: Hospital) -> None:
    for host in ("lb1", "app1"):
        lab.break_(breakable.site, "power-cut", host)
        assert breakable.reach(host, layout.HTTP_PORT) == "silent"
    lab.heal(breakable.site)
    labs.until(lambda: lab.status(breakable.site).hosts["lb1"].service == "running")
    assert status(breakable, "app1") == ("on", "running", "none")


def test_a_hung_host_has_power_and_says_nothing_until_it_is_thawed(breakable: Hospital) -> None:
    lab.break_(breakable.site, "hang", "db1")
    assert banner(breakable, "db1") == b""
    assert breakable.power("db1", "status") == (0, "on")
    assert status(breakable, "db1") == ("hung", "unknown", "unknown")
    with pytest.raises(LabError, match="hung"):
        lab.break_(breakable.site, "service-kill", "db1")
    lab.heal(breakable.site, "db1")
    assert banner(breakable, "db1", 5) == b"SSH-"
    assert status(breakable, "db1") == ("on", "running", "primary")


def test_a_hung_host_can_be_powered_off(breakable: Hospital) -> None:
    lab.break_(breakable.site, "hang", "db2")
    assert breakable.power("db2", "off") == (0, "off")
    assert breakable.reach("db2", layout.SSH_PORT) == "silent"
    with pytest.raises(LabError, match="off"):
        lab.break_(breakable.site, "hang", "db2")
    assert breakable.power("db2", "on") == (0, "on")
    labs.until(lambda: breakable.reach("db2", layout.SSH_PORT) == "accepted")


@pytest.mark.parametrize("fault", ["service-kill", "service-stop"])
def test_a_service_that_ends_refuses_and_its_host_lives(breakable: Hospital, fault: str) -> None:
    ports = {"db1": layout.PG_PORT, "lb1": layout.HTTP_PORT, "app1": layout.HTTP_PORT}
    for host, port in ports.items():
        lab.break_(breakable.site, fault, host)
        lab.break_(breakable.site, fault, host)  # again: it is so already
        assert breakable.reach(host, port) == "refused"
        assert status(breakable, host)[:2] == ("on", "stopped")
    lab.heal(breakable.site)
    assert [status(breakable, host)[1] for host in ports] == ["stopped", "running", "running"]
    assert breakable.on("db1", "pg start && pg role") == "primary"


def test_power_controller(hospital: Hospital) -> None:
    assert hospital.power("db1", "status") == (0, "on")
    assert hospital.power("db1", "on") == (0, "on")
    assert hospital.power("nix", "status") == (1, "unknown")
    assert hospital.power("db1", "reset")[0] == 2
    times = []
    for _ in range(5):
        began = time.monotonic()
        hospital.power("db1", "status")
        times.append(time.monotonic() - began)
    assert min(times) < 0.15


@pytest.mark.parametrize(
    ("fault", "host", "says"),
    [("fire", "db1", "no fault 'fire'"), ("hang", "db9", "no host 'db9'")],
)
def test_what_there_is_not(hospital: Hospital, fault: str, host: str, says: str) -> None:
    with pytest.raises(LabError, match=says):
        lab.break_(hospital.site, fault, host)


def test_a_lab_that_is_down_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not up") as caught:
        lab.break_(tmp_path, "hang", "db1")
    assert caught.value.hint
    with pytest.raises(LabError, match="not up"):
        lab.heal(tmp_path)
    assert lab.status(tmp_path) == lab.Status(False)
