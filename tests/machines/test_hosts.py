"""What a machine has and a process tree has not: boots, disk, network, accounts. And it is a host like any other."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import lab
from lab import layout, proc, rack
from lab.errors import LabError
from lab.machines import cgroups, faults, names
from lab.power import ask

from .. import labs
from ..labs import REPOSITORY, Hospital
from .conftest import initial
from .test_faults import CASES

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

HISAUTO = Path(sys.executable).with_name("hisauto")
SOON = "sudo systemd-run -q --on-active=0.2 --timer-property=AccuracySec=10ms systemctl {}"
"""In a moment, so that the command that asks for it ends."""
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def hisauto(hospital: Hospital, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HISAUTO, "--site", hospital.site, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


def left(folder: Path) -> list[str]:
    """What of a lab of machines is still on this machine, apart from its folder."""
    links = [path.name for path in Path("/sys/class/net").iterdir() if names.digest(folder)[:6] in path.name]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    loops = [path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")]
    return [
        *map(str, proc.strays(folder)), *map(str, cgroups.find(names.group(folder))), *links, *mounts,
        *(loop for loop in loops if str(folder) in loop),
    ]  # fmt: skip


def comes_back(hospital: Hospital, host: str) -> None:
    labs.until(lambda: hospital.reach(host, layout.SSH_PORT) == "accepted", 60)


def test_it_is_a_hospital_like_any_other(hospital: Hospital) -> None:
    assert initial(hospital)
    assert set(hospital.facts["hosts"]) == {*layout.HOSTS, *layout.MORE_HOSTS}
    done = hisauto(hospital, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    done = hisauto(hospital, "hosts", "--ping")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" yes") == 9
    began = time.monotonic()
    assert lab.up(hospital.site) is False
    assert time.monotonic() - began < 20


def test_who_logs_in_is_an_ordinary_user(hospital: Hospital) -> None:
    assert hospital.on("app1", "id -un; sudo -n id -un; hostname").split() == ["hisauto", "root", "app1"]
    with pytest.raises(LabError, match="Permission denied"):
        hospital.on("db1", "cat /etc/shadow")
    variables = yaml.safe_load((hospital.site / "inventory/host_vars/db1/lab.yml").read_text())
    assert variables["ansible_become"] is True
    assert "hisauto_receipts" not in variables
    assert hospital.on("db1", "stat -c '%U %a' /run/hisauto/$(id -u)") == "hisauto 700"


def test_no_password_in_the_site_or_in_a_command_line(hospital: Hospital) -> None:
    secrets = [line.split(":")[4] for line in (hospital.folder / "keys/pgpass").read_text().splitlines()]
    assert len(secrets) == 3
    texts = [path.read_bytes() for path in hospital.site.rglob("*") if path.is_file()]
    for pid in proc.strays(hospital.folder):
        with contextlib.suppress(OSError):  # it has just ended
            texts.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    assert len(texts) > 20
    assert not [secret for secret in secrets for text in texts if secret.encode() in text]


def test_a_power_cut_takes_what_was_not_synced(hospital: Hospital) -> None:
    before = hospital.on("db2", BOOT_ID)
    hospital.on("db2", "echo kept > kept; sync kept; touch /run/hisauto/$(id -u)/mark; pg role; echo lost > lost")
    lab.break_(hospital.site, "power-cut", "db2")
    assert hospital.reach("db2", layout.SSH_PORT) == hospital.reach("db2", layout.PG_PORT) == "silent"
    seen = lab.status(hospital.site).hosts["db2"]
    assert (seen.power, seen.service, seen.role, seen.processes) == ("off", "stopped", "none", ())
    lab.heal(hospital.site, "db2")
    assert hospital.on("db2", "cat kept lost 2>/dev/null; ls -A /run/hisauto/$(id -u)") == "kept"
    assert hospital.on("db2", BOOT_ID) != before
    assert lab.status(hospital.site).hosts["db2"].service == "stopped", "PostgreSQL never starts by itself"
    hospital.on("db2", "pg start")
    labs.until(lambda: "db2|streaming|sync|" in hospital.on("db1", "pg lag"))


def test_a_power_cut_of_every_host_takes_nothing_of_a_lab_that_was_just_built(hospital: Hospital) -> None:
    lab.up(hospital.site, kind="machines", fresh=True)
    for host in hospital.facts["hosts"]:
        assert hospital.power(host, "off") == (0, "off")
    for host in hospital.facts["hosts"]:
        assert hospital.power(host, "on") == (0, "on")
    for host in hospital.facts["hosts"]:
        comes_back(hospital, host)
    hospital.on("db1", "pg start")
    hospital.on("db2", "pg start")
    labs.until(lambda: initial(hospital), 30)


def test_a_machine_that_hung_when_its_power_was_cut_comes_up_again(hospital: Hospital) -> None:
    lab.break_(hospital.site, "hang", "ins1")
    assert hospital.power("ins1", "off") == (0, "off")
    lab.heal(hospital.site, "ins1")
    assert hospital.on("ins1", "hostname") == "ins1"


def test_a_reboot_is_one(hospital: Hospital) -> None:
    def boots() -> int:
        return int(ask(str(hospital.folder), "app2", "state")["boots"])

    before, booted = hospital.on("app2", BOOT_ID), boots()
    hospital.on("app2", f"echo kept > kept; {SOON.format('reboot')}")
    labs.until(lambda: boots() > booted, 30)
    comes_back(hospital, "app2")
    assert hospital.on("app2", "cat kept") == "kept"
    assert hospital.on("app2", BOOT_ID) != before
    labs.until(lambda: initial(hospital), 30)


def test_a_machine_that_is_shut_down_is_off_until_it_is_powered_on(hospital: Hospital) -> None:
    hospital.on("ins1", SOON.format("poweroff"))
    labs.until(lambda: hospital.power("ins1", "status") == (0, "off"), 30)
    assert hospital.power("ins1", "on") == (0, "on")
    comes_back(hospital, "ins1")


def test_a_fence_outlives_a_power_cut(hospital: Hospital) -> None:
    hospital.on("db1", "pg fence")
    assert hospital.reach("db1", layout.PG_PORT) == "refused"
    lab.break_(hospital.site, "power-cut", "db1")
    lab.heal(hospital.site, "db1")
    for attempt in ("pg start", "pg promote", "sudo systemctl start postgresql@15-main"):
        with pytest.raises(LabError, match=r"fenced|masked"):
            hospital.on("db1", attempt)
    assert hospital.on("db1", "pg unfence && pg start && pg role") == "primary"
    labs.until(lambda: "db2|streaming|sync|" in hospital.on("db1", "pg lag"))


def test_the_hosts_network_leads_nowhere_else(hospital: Hospital) -> None:
    assert hospital.on("app1", "ip -4 route").split() == [
        f"{hospital.address('app1').rsplit('.', 1)[0]}.0/24", "dev", "host0", "proto", "kernel", "scope", "link", "src",
        hospital.address("app1"),
    ]  # fmt: skip


def test_killed_rack_powers_everything_off_and_down_leaves_nothing(tmp_path: Path, hospital: Hospital) -> None:
    """Of a lab beside another one, which stays as it is."""
    other = Hospital(labs.copy_site(tmp_path))
    try:
        lab.up(other.site, kind="machines")
        assert other.address("db1") != hospital.address("db1")
        pid = rack.running(other.folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        labs.until(lambda: not proc.strays(other.folder))
        assert lab.status(other.site).up is False
        lab.down(other.site)
        assert left(other.folder) == []
        assert sorted(path.name for path in other.folder.iterdir()) == ["keys", "lib", "lock"]
        assert not list(other.site.glob("inventory/**/lab.yml")) and not (other.site / "inventory/lab.yml").exists()
    finally:
        lab.down(other.site, purge=True)
    assert not other.folder.exists()
    assert left(other.folder) == []
    assert initial(hospital)


TIMES = 50 if os.environ.get("HISAUTO_TORTURE") else 3


def broken_off(hospital: Hospital, chance: random.Random, everything: bool, *words: str) -> None:
    """A command of the lab that is killed at some moment, or it and all that the lab has started."""
    argv = [sys.executable, "-m", "lab", "--site", str(hospital.site), *words]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as half:
        time.sleep(chance.uniform(0.2, 12 if "up" in words else 2))
        if everything:
            for pid in proc.strays(hospital.folder):
                proc.send([pid], signal.SIGKILL)
        half.kill()


@pytest.mark.timeout(120 * TIMES)
def test_up_and_faults_killed_at_any_moment(tmp_path: Path) -> None:
    """Half up, or whole and half broken: the next ``down`` leaves nothing, the next ``up`` is whole."""
    labs.skip_unless_possible("machines")
    other, chance = Hospital(labs.copy_site(tmp_path)), random.Random(1)
    try:
        for turn in range(TIMES):
            if turn % 3 == 2:
                lab.up(other.site, kind="machines")
                assert initial(other)
                for fault in chance.sample(sorted(faults.FAULTS), 2):
                    case = CASES[fault]
                    words = (fault, case.host, *([case.peer] if case.peer else []))
                    broken_off(other, chance, turn % 2 == 1, "break", *words)
            else:
                broken_off(other, chance, turn % 2 == 1, "up", "--kind", "machines", "--fresh")
            if turn % 5 == 4:
                lab.up(other.site)
                assert initial(other)
            lab.down(other.site)
            assert left(other.folder) == [], turn
    finally:
        lab.down(other.site, purge=True)
