"""Whether this machine can carry machines: each thing they are made of is tried once, in a second of its time."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from lab.layout import BASE
from lab.machines import cgroups

DISK = """
set -e
cd "$1"
mkdir lower own root
truncate -s 16M disk.img
mkfs.ext4 -q -F disk.img
mount -o loop disk.img own
mkdir own/upper own/work
mount -t overlay -o lowerdir=lower,upperdir=own/upper,workdir=own/work overlay root
touch root/it
"""
NETWORK = """
set -e
ip link add hl-trial type bridge
ip link add vb-trial type veth peer name host0
ip link set vb-trial master hl-trial
"""


def obstacles() -> list[str]:
    """What does not work here; empty if all does. For root, with the packages there."""
    found = no_groups()
    for what, options, script in (
        ("a loop device, ext4 and an overlay", ("--mount", "--propagation", "private"), DISK),
        ("a bridge and a line to it", ("--net",), NETWORK),
    ):
        if why := _tried(options, script):
            found.append(f"{what}: {why}")
    return found


def no_groups() -> list[str]:
    """What is missing of the control groups, in a line; empty if nothing is."""
    lacking = cgroups.missing()
    return [f"no control groups {', '.join(lacking)} in {cgroups.ROOT} (it takes the hybrid layout)"] if lacking else []


def _tried(options: tuple[str, ...], script: str) -> str:
    """Why the script fails in namespaces of its own; empty if it doesn't. Nothing of it is left."""
    with tempfile.TemporaryDirectory(dir=BASE, prefix="hisauto-trial-") as folder:
        done = subprocess.run(
            ["unshare", *options, "sh", "-c", script, "trial", Path(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["failed"])[-1]
