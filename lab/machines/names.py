"""What a lab's things are called on this machine. Names follow from its folder: labs of several sites don't meet."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def digest(folder: Path) -> str:
    """Eight characters of the lab in ``folder``."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]


def group(folder: Path) -> str:
    """The control group that holds all hosts of the lab."""
    return f"hisauto-lab-{digest(folder)}"


def bridge(folder: Path) -> str:
    return f"hl{digest(folder)}"


def machine(folder: Path, host: str) -> str:
    """The name that systemd-nspawn gives to the machine."""
    return f"{host}-{digest(folder)[:6]}"


def line(folder: Path, host: str) -> str:
    """The host's network interface as seen from outside; fifteen characters are all that a name may have."""
    return f"vb-{machine(folder, host)}"
