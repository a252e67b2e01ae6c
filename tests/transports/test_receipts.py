"""What the host remembers, and what it says when it can't tell: take-over, reboot, recycled pids, wiped receipts."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest

from hisauto.errors import Refused
from hisauto.model.transport import Completed, Fate, Script
from hisauto.transports.session import file_name

from .places import STUBBORN, Gate, Place, begin, left, until


def test_take_over_kills(there: Place, run: str, nap: str) -> None:
    old = there.session(run, grace=1)
    place = old.place()
    thread = begin(old, "step", STUBBORN.format(nap), place)
    receipt = there.session(run, grace=1).settle("step", 2, place, kill=True)
    assert receipt.fate is Fate.finished and receipt.completed and receipt.completed.how == "killed"
    assert left(nap) == []
    thread.join(10)
    assert not thread.is_alive()


def test_settle_waits_and_says_running(there: Place, run: str, gate: Gate) -> None:
    old = there.session(run)
    place = old.place()
    thread = begin(old, "step", f"{gate.wait}; echo end", place)
    new = there.session(run)
    assert new.settle("step", 2, place).fate is Fate.running
    assert new.settle("step", 2, place, wait=0.3).fate is Fate.running
    live = bytearray()
    threading.Timer(0.3, gate.open).start()
    receipt = new.settle("step", 2, place, wait=20, on_output=lambda _, data: live.extend(data))
    assert receipt.completed == Completed(0, "exit", b"begun\nend\n")
    assert bytes(live) == b"begun\nend\n"
    thread.join(10)


def test_claimed_is_not_started_again(there: Place, run: str, tmp_path: Path) -> None:
    session = there.session(run)
    place = session.place()
    for _ in range(3):
        receipt = session.act("step", 1, Script(f"echo x >>{tmp_path}/effect; echo once"), place)
        assert receipt.completed == Completed(0, "exit", b"once\n")
    assert (tmp_path / "effect").read_text() == "x\n"


def test_newer_epoch_refuses(there: Place, run: str) -> None:
    session = there.session(run)
    place = session.place()
    assert session.settle("step", 5, place).fate is Fate.none
    assert session.act("step", 4, Script("true"), place).fate is Fate.refused
    assert session.settle("step", 4, place).fate is Fate.refused
    assert session.act("step", 5, Script("true"), place).fate is Fate.finished


def test_reboot(there: Place, run: str, tmp_path: Path, gate: Gate) -> None:
    """The boot id decides: what ended before is known, what was running or never ran is not."""
    boot = tmp_path / "boot"
    boot.write_text("first\n")
    session = there.session(run, boot_file=str(boot))
    place = session.place()
    session.act("finished", 1, Script("echo x"), place)
    thread = begin(session, "running", gate.wait, place)
    boot.write_text("second\n")
    after = there.session(run, boot_file=str(boot))
    ended = after.settle("finished", 2, place)
    assert (ended.fate, ended.same_boot) == (Fate.finished, False)
    assert after.settle("running", 2, place).fate is Fate.moved
    assert after.settle("never", 2, place).fate is Fate.moved
    assert after.act("late", 2, Script("true"), place).fate is Fate.moved
    assert after.act("late", 2, Script("true"), after.place()).fate is Fate.finished
    gate.open()
    thread.join(10)


def receipt_folder(there: Place, attempt: str) -> Path:
    (folder,) = there.base.glob(f"*/a.{file_name(attempt)}")
    return folder


def test_recycled_pid(there: Place, run: str, nap: str) -> None:
    """The pid on record now belongs to a stranger: it is left alone and the end is not known."""
    session = there.session(run)
    place = session.place()
    begin(session, "step", f"sleep {nap}", place)
    record = receipt_folder(there, "step") / "pid"
    worker, born, boot = record.read_text().split()
    os.killpg(int(worker), signal.SIGKILL)  # with the watch over its limit
    for pid in left(nap):
        psutil.Process(pid).kill()
    until(lambda: not left(nap), "the script's end")
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record.write_text(f"{stranger.pid} {born} {boot}\n")
        assert there.session(run).settle("step", 2, place, kill=True, wait=1).fate is Fate.died
        assert stranger.poll() is None
        stranger.kill()


def test_worker_killed(there: Place, run: str, nap: str) -> None:
    """Its script is still at work: said so; and ended on request, though the result stays unknown."""
    session = there.session(run)
    place = session.place()
    begin(session, "step", f"sleep {nap}", place)
    worker = int((receipt_folder(there, "step") / "pid").read_text().split()[0])
    psutil.Process(worker).kill()
    new = there.session(run)
    receipt = until(lambda: (r := new.settle("step", 2, place)).fate is Fate.died and r, "the worker's end")
    assert receipt and "still at work" in receipt.why
    assert new.settle("step", 2, place, kill=True).fate is Fate.died
    assert left(nap) == []
    os.killpg(worker, signal.SIGKILL)  # the watch over its limit stays until that has passed


def test_claimed_never_started(there: Place, run: str) -> None:
    session = there.session(run)
    place = session.place()
    (folder,) = there.base.iterdir()
    (folder / "a.step").mkdir()
    assert session.settle("step", 1, place).fate is Fate.none
    (folder / "a.step").mkdir()
    assert session.act("step", 1, Script("true"), place).fate is Fate.finished


def test_wiped_receipts(there: Place, run: str) -> None:
    session = there.session(run)
    place = session.place()
    session.act("step", 1, Script("true"), place)
    subprocess.run(["rm", "-rf", there.base], check=True)
    assert session.settle("step", 1, place).fate is Fate.moved
    assert session.place() != place
    new = there.session(run)
    assert new.place() != place
    assert new.settle("step", 1, place).fate is Fate.moved
    assert new.act("other", 1, Script("true"), place).fate is Fate.moved


def spoil(base: Path, how: str, elsewhere: Path) -> None:
    """Make the folder for receipts one that can't be used."""
    elsewhere.mkdir()
    if how == "a symbolic link":  # laid in advance in a public folder
        base.symlink_to(elsewhere)
    elif how == "Not a directory":
        base.touch()
    elif os.geteuid() != 0:
        pytest.skip("only root can give a folder away or mount one read-only")
    elif how == "belongs to somebody else":
        base.mkdir()
        os.chown(base, 65534, 65534)
    else:
        size = "size=4k,nr_inodes=2" if how == "No space left" else "ro"
        base.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{size}", "none", str(base)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small file system can't be mounted here")
        if how == "No space left":
            (base / "fill").touch()


@pytest.mark.parametrize(
    "how", ["a symbolic link", "Not a directory", "belongs to somebody else", "Read-only file system", "No space left"]
)
def test_unusable_folder(there: Place, run: str, tmp_path: Path, how: str) -> None:
    """Said with its reason before anything is sent: a change without a receipt could not be told from none."""
    spoil(there.base, how, tmp_path / "elsewhere")
    try:
        session = there.session(run)
        with pytest.raises(Refused, match="no receipt can be kept there, so nothing was started") as caught:
            session.place()
        assert how in str(caught.value) and str(there.base) in str(caught.value) and "host-1" in str(caught.value)
        assert caught.value.hint and "hisauto_receipts" in caught.value.hint
        assert session.probe(Script("echo x")).out == b"x\n"
        assert list((tmp_path / "elsewhere").iterdir()) == []
    finally:
        if there.base.is_mount():
            subprocess.run(["umount", "-l", there.base], check=True)


def test_forget(there: Place, run: str) -> None:
    session = there.session(run)
    place = session.place()
    session.act("step", 2, Script("true"), place)
    there.session(run).forget(1)  # knows no place: does nothing
    old = there.session(run)
    old.place()
    old.forget(1)  # an older epoch
    assert session.settle("step", 2, place).fate is Fate.finished
    session.forget(2)
    assert list(there.base.glob("*/a.*")) == []
    assert session.settle("step", 2, place).fate is Fate.moved
    assert session.settle("step", 1, session.place()).fate is Fate.refused


def test_forget_leaves_what_runs(there: Place, run: str, gate: Gate) -> None:
    session = there.session(run)
    place = session.place()
    thread = begin(session, "step", gate.wait, place)
    session.forget(1)
    gate.open()
    assert session.settle("step", 1, place, wait=20).completed == Completed(0, "exit", b"begun\n")
    thread.join(10)


def test_full_disk(there: Place, run: str, tmp_path: Path) -> None:
    """The start is refused, nothing ran, asking says so; what filled the disk itself keeps its exit code."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can't be mounted here")
    try:
        session = there.session(run, base=str(disk / "receipts"))
        place = session.place()
        fill = session.act("fill", 1, Script(f"head -c 900000 /dev/zero >{disk}/fill; exit 5"), place)
        assert fill.completed and fill.completed.rc == 5
        assert session.act("full", 2, Script(f"touch {tmp_path}/ran"), place).fate is Fate.no_space
        assert session.settle("full", 2, place).fate is Fate.none
        assert not (tmp_path / "ran").exists()
        (disk / "fill").unlink()
        assert session.act("full", 2, Script("true"), place).fate is Fate.finished
    finally:
        there.transports[-1].close()
        subprocess.run(["umount", "-l", disk], check=True)
