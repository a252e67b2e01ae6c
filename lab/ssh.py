"""A command on a host of the lab, over its real sshd, by OpenSSH's client."""

from __future__ import annotations

import subprocess

from lab.errors import LabError
from lab.layout import SSH_PORT, Lab


def on_host(lab: Lab, host: str, command: str, seconds: float = 40.0, said: str = "") -> str:
    """Run a shell command on a host and return what it prints; ``said`` is its input.

    Raises LabError, also if it fails.
    """
    argv = [
        "ssh", "-F", "none", "-i", f"{lab.keys}/client", "-p", str(SSH_PORT), "-l", lab.user,
        "-o", f"UserKnownHostsFile={lab.keys}/known_hosts", "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
        "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", lab.address(host), command,
    ]  # fmt: skip
    try:
        done = subprocess.run(argv, input=said, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise LabError(f"{host}: {command}: not finished within {seconds:.0f} s") from None
    if done.returncode != 0:
        raise LabError(f"{host}: {command}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()
