"""Process trees, read from /proc: who descends from whom, freezing a tree, killing it to the last process.

Linux only. States are those of ``proc(5)``; a zombie (``Z``, ``X``) is dead.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS = 0x20000
MARK = "HISAUTO_LAB"
"""Environment variable that every process of a lab inherits; its value is the lab folder."""


def prctl(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def own_mounts() -> None:
    """What this process and its children mount is theirs from here on, and gone with the last. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; the command's name before them may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    except OSError:
        return None


def start_time(pid: int) -> str | None:
    """Clock ticks from boot to the process's start; ``None`` if there is no such live process."""
    stat = _stat(pid)
    return stat[19] if stat and stat[0] not in "ZX" else None


def command(pid: int) -> str:
    """The process's short name, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def table() -> dict[int, tuple[int, str]]:
    """``{pid: (parent, state)}`` of every process."""
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - thousands of Path objects a second otherwise
        if entry.isdigit() and (stat := _stat(int(entry))):
            found[int(entry)] = (int(stat[1]), stat[0])
    return found


def descendants(*roots: int) -> dict[int, str]:
    """``{pid: state}`` of all live processes below ``roots``, these not included. A snapshot, so it may be stale."""
    processes = table()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found: dict[int, str] = {}
    edge = list(roots)
    while edge:
        edge = [pid for parent in edge for pid in children.get(parent, []) if pid not in found]
        found.update({pid: processes[pid][1] for pid in edge})
    return {pid: state for pid, state in found.items() if state not in "ZX"}


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of them; those that are gone are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def freeze(root: int, seconds: float = 10.0) -> int:
    """Stop everything below ``root``; returns how many processes. Raises TimeoutError.

    A stopped process can't fork, so what is found running shrinks to nothing. A child born while a snapshot was being
    taken can be missed by that one, hence two clean snapshots in a row.
    """
    deadline, clean, tree = time.monotonic() + seconds, 0, {}
    while clean < 2:
        tree = descendants(root)
        running = [pid for pid, state in tree.items() if state not in "Tt"]
        clean = 0 if running else clean + 1
        send(running, signal.SIGSTOP)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(running)} processes do not stop")
        if running:
            time.sleep(0.001)
    return len(tree)


def reap() -> bool:
    """Collect ended children; false if there is no child left at all, which for a subreaper means an empty tree."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def destroy(root: int, seconds: float = 10.0) -> None:
    """Kill all below ``root``, the calling subreaper, until the kernel says it has no child. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        send(descendants(root), signal.SIGKILL)
        if not reap():
            return
        if time.monotonic() > deadline:
            raise TimeoutError("processes do not die")
        time.sleep(0.001)


def _marked(pid: int, folder: Path) -> bool:
    try:
        if f"{MARK}={folder}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes() + b"\0":
            return True
    except OSError:
        pass  # sshd hides its environment; its command line names the folder
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return command(pid) == "sshd" and f"{folder}/".encode() in line


def strays(folder: Path) -> set[int]:
    """Live processes of the lab in ``folder`` and what descends from them, whoever their parent is now."""
    own = {os.getpid(), os.getppid()}
    alive = {pid for pid, (_, state) in table().items() if state not in "ZX"} - own
    marked = {pid for pid in alive if _marked(pid, folder)}
    return (marked | set(descendants(*marked))) - own


def sweep(folder: Path, seconds: float = 10.0) -> int:
    """Kill every stray of the lab; returns how many were found. Frozen first, so that none forks away."""
    deadline, killed = time.monotonic() + seconds, set[int]()
    while left := strays(folder):
        killed |= left
        send(left, signal.SIGSTOP)
        send(left | strays(folder), signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(left)} do not die")
        time.sleep(0.005)
    return len(killed)
