"""Room for inotify: a systemd takes some fifteen instances, and one account is granted 128 on the whole machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED = 1024
"""Enough for a few labs beside each other."""


def make_room(say: Callable[[str], None]) -> None:
    """Raise the limit until the next boot of the machine, and say so. Where it can't be, one lab may still fit."""
    granted = int(LIMIT.read_text())
    if granted >= WANTED:
        return
    try:
        LIMIT.write_text(f"{WANTED}\n")
    except OSError as error:
        say(f"fs.inotify.max_user_instances stays at {granted}, which two labs exceed: {error.strerror}")
    else:
        say(f"fs.inotify.max_user_instances is raised from {granted} to {WANTED}, until this machine is booted again")
