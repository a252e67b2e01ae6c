"""A host's own disk: a file with an ext4 file system, over the base that all hosts share.

A power cut takes away what was not yet written, as a real one does: the file system is shut down without a flush.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

from lab.machines.command import run

SIZE = 2 * 1024**3
"""Bytes; the file is sparse."""
EXT4_IOC_SHUTDOWN, NO_FLUSH = 0x8004587D, 2


def mounted(place: Path) -> bool:
    """By the kernel's list: asking a file system that was shut down is an error."""
    return any(line.split()[4] == str(place) for line in Path("/proc/self/mountinfo").read_text().splitlines())


class Disk:
    """``FOLDER/disk.img``, seen at ``FOLDER/disk`` and, over the base, at ``root``: the host's root file system."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.image, self.own, self.root, self.base = folder / "disk.img", folder / "disk", folder / "root", base

    def make(self) -> None:
        """An empty disk. Raises RuntimeError."""
        with self.image.open("wb") as image:
            image.truncate(SIZE)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.image)
        for folder in (self.own, self.root):
            folder.mkdir()
        run("mount", "-o", "loop", self.image, self.own)
        for name in ("upper", "work"):
            (self.own / name).mkdir()
        run("umount", self.own)

    def mount(self) -> None:
        """After a power cut ext4 first plays back its journal. Raises RuntimeError."""
        run("mount", "-o", "loop", self.image, self.own)
        layers = f"lowerdir={self.base},upperdir={self.own}/upper,workdir={self.own}/work"
        run("mount", "-t", "overlay", "-o", layers, "overlay", self.root)

    def cut(self) -> None:
        """Nothing reaches the disk any more. Raises OSError."""
        disk = os.open(self.own, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(disk, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_FLUSH))
        finally:
            os.close(disk)

    def unmount(self, seconds: float = 10.0) -> None:
        """The kernel may hold on for a moment to what the last process had open. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        for place in (self.root, self.own):
            while mounted(place):
                done = subprocess.run(["umount", place], capture_output=True, text=True, check=False)
                if done.returncode and time.monotonic() > deadline:
                    raise TimeoutError(f"{place} stays mounted: {done.stderr.strip()}")
                time.sleep(0.005)
        while self.used():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.image} stays in use")
            time.sleep(0.005)

    def used(self) -> bool:
        """Whether the kernel still has the disk: mounted again then, it would be the one that was cut."""
        for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
            with contextlib.suppress(OSError):
                if backing.read_text().strip().removesuffix(" (deleted)") == str(self.image):
                    return True
        return False
