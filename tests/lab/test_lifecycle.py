"""Up and down: from every state, and nothing is left."""

from __future__ import annotations

import os
import random
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import lab
from lab import inside, layout, prereq, proc, rack
from lab.errors import LabError

from .. import labs
from ..labs import REPOSITORY, Hospital
from .conftest import initial

pytestmark = pytest.mark.lab


def segments() -> set[str]:
    """The ids of all SysV shared memory segments: PostgreSQL keeps one while it runs."""
    return {row.split()[1] for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital for this test alone, not up yet."""
    labs.skip_unless_possible()
    found = Hospital(labs.copy_site(tmp_path))
    yield found
    lab.down(found.site, purge=True)


def test_up_is_idempotent_and_fast_if_healthy(hospital: Hospital) -> None:
    assert initial(hospital)
    began = time.monotonic()
    assert lab.up(hospital.site, kind="processes") is False
    assert time.monotonic() - began < 10


def test_the_sites_files(hospital: Hospital) -> None:
    for host in layout.HOSTS:
        text = (hospital.site / f"inventory/host_vars/{host}/lab.yml").read_text()
        assert text.startswith("# Generated")
        assert "{{" not in text and "{%" not in text
        found = yaml.safe_load(text)
        assert found["ansible_host"] == hospital.address(host)
        assert Path(found["hisauto_known_hosts"]).is_file()
        assert Path(found["hisauto_receipts"]).is_dir()
        assert subprocess.check_output([*found["power_command"], "status"], text=True) == "on\n"
    people = yaml.safe_load((hospital.site / ".hisauto/lab/people.yml").read_text())["people"]
    assert {role for person in people.values() for role in person["roles"]} >= {
        "dba_lead", "duty_manager", "operator", "loss_approver",
    }  # fmt: skip
    for person, path in hospital.facts["keys"].items():
        derived = subprocess.check_output(["ssh-keygen", "-y", "-f", path], text=True).split()
        assert people[person]["keys"][0].split()[:2] == derived[:2]
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(hospital.folder.stat().st_mode) == 0o700


def test_no_password_in_the_site_or_in_a_command_line(hospital: Hospital) -> None:
    secrets = [line.split(":")[4] for line in (hospital.folder / "keys/pgpass").read_text().splitlines()]
    assert len(secrets) == 3
    texts = [path.read_bytes() for path in hospital.site.rglob("*") if path.is_file()]
    texts += [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in proc.strays(hospital.folder)]
    assert not [secret for secret in secrets for text in texts if secret.encode() in text]


def test_down_leaves_nothing_running_and_purge_leaves_nothing(own: Hospital) -> None:
    lab.up(own.site, kind="processes")
    assert proc.strays(own.folder)
    pidfiles = [own.folder / f"hosts/{host}/data/postmaster.pid" for host in layout.DATABASES]
    held = {path.read_text().splitlines()[6].split()[1] for path in pidfiles}
    assert len(held) == 2 and held <= segments()
    lab.down(own.site)
    assert not proc.strays(own.folder)
    assert not held & segments()
    assert sorted(path.name for path in own.folder.iterdir()) == ["keys", "lib", "lock", "template", "template.version"]
    assert not list(own.site.glob("inventory/host_vars/**/lab.yml")) and not (own.site / ".hisauto/lab.json").exists()
    assert lab.status(own.site).up is False
    lab.down(own.site)  # again: nothing to do
    lab.down(own.site, purge=True)
    assert not own.folder.exists()


def test_asynchronous_replication_is_an_option(own: Hospital) -> None:
    lab.up(own.site, kind="processes", replication="async")
    assert "|streaming|async|" in own.on("db1", "pg lag")
    assert lab.up(own.site, kind="processes", replication="sync") is True
    assert "|streaming|sync|" in own.on("db1", "pg lag")


def rack_of(hospital: Hospital) -> int:
    pid = rack.running(hospital.folder)
    assert pid is not None
    return pid


def test_killed_rack_powers_everything_off_and_up_builds_again(returned: Hospital) -> None:
    os.kill(rack_of(returned), signal.SIGKILL)
    labs.until(lambda: not proc.strays(returned.folder))
    assert returned.power("db1", "status") == (1, "unknown")
    assert lab.status(returned.site).up is False
    assert lab.up(returned.site, kind="processes") is True
    assert initial(returned)


def test_killed_supervisor_takes_its_host_along_and_up_builds_again(returned: Hospital) -> None:
    supervisors = [pid for pid, (parent, _) in proc.table().items() if parent == rack_of(returned)]
    others = proc.strays(returned.folder)
    victim = supervisors[0]
    below = set(proc.descendants(victim))
    assert len(supervisors) == 5 and below
    os.kill(victim, signal.SIGKILL)
    labs.until(lambda: not below & proc.strays(returned.folder))
    assert len(proc.strays(returned.folder)) > len(others) / 2  # the others live
    assert lab.up(returned.site, kind="processes") is True
    assert initial(returned)


def test_rack_and_all_supervisors_killed_at_once(returned: Hospital) -> None:
    """Nobody is left to clean up: the next ``up`` finds the orphans by their mark."""
    whole = [rack_of(returned), *(p for p, (parent, _) in proc.table().items() if parent == rack_of(returned))]
    proc.send(whole, signal.SIGSTOP)
    proc.send(whole, signal.SIGKILL)
    labs.until(lambda: not any(proc.start_time(pid) for pid in whole))
    assert proc.strays(returned.folder)
    assert lab.up(returned.site, kind="processes") is True
    assert initial(returned)


COUNT = 20 if os.environ.get("HISAUTO_TORTURE") else 3


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_up_killed_at_any_moment(whatever: Hospital, seed: int, how: signal.Signals) -> None:
    moment = random.Random(seed * 2 + (how == signal.SIGINT)).uniform(0.1, 2.5)
    argv = [sys.executable, "-m", "lab", "--site", str(whatever.site), "up", "--kind", "processes", "--fresh"]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as half:
        time.sleep(moment)
        half.send_signal(how)
        half.wait(20)
    lab.up(whatever.site, kind="processes")
    assert initial(whatever)
    assert len([p for p in proc.strays(whatever.folder) if "lab.rack" in _line(p)]) == 6


def _line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_two_ups_at_once(whatever: Hospital) -> None:
    argv = [sys.executable, "-m", "lab", "--site", str(whatever.site), "up", "--kind", "processes", "--fresh"]
    both = [subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sum("waiting for another" in text for text in said) == 1
    assert initial(whatever)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(LabError, match="nobody else may enter"):
        inside.own_folder(tmp_path / "open", prereq.lab_user())


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(LabError, match="nobody else may enter"):
        inside.own_folder(tmp_path / "link", prereq.lab_user())


def test_labs_of_other_sites_stand_beside_each_other(tmp_path: Path) -> None:
    assert layout.folder_of(tmp_path / "a") != layout.folder_of(tmp_path / "b")
    first = layout.free_prefix(tmp_path)
    with socket.socket() as taken:
        taken.bind((f"{first}.12", layout.PG_PORT))
        taken.listen()
        assert layout.free_prefix(tmp_path) != first
