"""A control group for each host, in every hierarchy that its systemd works in.

Without one the hosts' systemds would share a group and kill each other's services. With one a host is frozen and
killed whole, by the kernel, whatever its processes do to get away.
Hybrid hierarchies only: v1 with ``unified`` beside it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError

ROOT = Path("/sys/fs/cgroup")
HIERARCHIES = ("systemd", "memory", "pids", "unified")
LIMIT = 512 * 1024 * 1024
"""Bytes of memory a host has."""


def missing() -> list[str]:
    """Hierarchies that this machine doesn't have."""
    return [name for name in HIERARCHIES if not (ROOT / name / "cgroup.procs").exists()]


def _own() -> dict[str, Path]:
    """Hierarchy → the group of the calling process."""
    found = {}
    for text in Path("/proc/self/cgroup").read_text().splitlines():
        number, names, path = text.split(":", 2)
        name = "unified" if number == "0" else names.removeprefix("name=")
        if name in HIERARCHIES:
            found[name] = ROOT / name / path.lstrip("/")
    return found


def make(group: str, host: str) -> dict[str, Path]:
    """The groups of one host, below those of the calling process: hierarchy → folder."""
    found = {name: own / group / host for name, own in _own().items()}
    for folder in found.values():
        folder.mkdir(parents=True, exist_ok=True)
    (found["unified"] / "cgroup.freeze").write_text("0")  # of a host that hung when its power was cut
    (found["memory"] / "memory.limit_in_bytes").write_text(str(LIMIT))
    return found


def enter(groups: dict[str, Path]) -> None:
    """The calling process, and all that it will start, belongs to the host."""
    for folder in groups.values():
        (folder / "cgroup.procs").write_text("0")


def freeze(groups: dict[str, Path], frozen: bool, seconds: float = 10.0) -> None:
    """All processes stop, or go on; returns when it is so. Raises TimeoutError."""
    unified = groups["unified"]
    (unified / "cgroup.freeze").write_text(str(int(frozen)))
    deadline = time.monotonic() + seconds
    while f"frozen {int(frozen)}" not in (unified / "cgroup.events").read_text().splitlines():
        if time.monotonic() > deadline:
            raise TimeoutError("the host's processes do not stop")
        time.sleep(0.002)


def kill(unified: Path, seconds: float = 15.0) -> None:
    """Kill all below, until the kernel says that nothing lives there. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while "populated 1" in (unified / "cgroup.events").read_text().splitlines():
        (unified / "cgroup.kill").write_text("1")
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes in {unified} do not die")
        time.sleep(0.005)


def find(group: str) -> Iterator[Path]:
    """Every group of that name, wherever the process that made it stood."""
    for name in HIERARCHIES:
        for folder, below, _ in os.walk(ROOT / name):
            if group in below:
                yield Path(folder) / group


def remove(group: str) -> None:
    """Kill whatever lives in the lab's groups, and remove them. Raises LabError."""
    for top in find(group):
        with contextlib.suppress(FileNotFoundError):
            if (top / "cgroup.kill").exists():
                kill(top)
    deadline = time.monotonic() + 10
    while left := list(find(group)):
        for top in left:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # the kernel needs a moment to see that it is empty
                    os.rmdir(folder)  # noqa: PTH106 - of control groups only the folders can be removed
        if time.monotonic() > deadline:
            raise LabError(f"control groups stay: {', '.join(map(str, left))}")
        time.sleep(0.01)
