"""Work from within a machine's network: what a process on that host could reach, whatever stands between it and us."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from lab.power import ask

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(folder: Path, host: str) -> None:
    """Every socket that this thread opens from now on is in the network of ``host`` of the lab in ``folder``.

    The host may have been restarted since: then it has a new network, and this has to be called again. It takes root.
    Raises OSError, also if the host has no power, and ValueError.
    """
    leader = ask(str(folder), host, "state", timeout=3).get("leader")
    if not isinstance(leader, int):
        raise OSError(f"{host} does not run")
    with Path(f"/proc/{leader}/ns/net").open("rb") as network:
        if LIBC.setns(network.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{host}'s network can't be entered: {os.strerror(number)}")
