"""The lab's own bridge: a network 10.A.B.0/24 that leads nowhere else."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import time
from pathlib import Path

from lab.errors import LabError
from lab.machines import names
from lab.machines.command import run


def _taken() -> list[ipaddress.IPv4Network]:
    """Every network that this machine has a route to, but the default."""
    routes = json.loads(run("ip", "-4", "-json", "route", "show", "table", "all") or "[]")
    texts = [route["dst"] for route in routes if route["dst"] != "default"]
    return [ipaddress.IPv4Network(text, strict=False) for text in texts]


def free_prefix(folder: Path) -> str:
    """``10.A.B`` from the folder's name, where nothing of this machine is. Raises LabError."""
    taken = _taken()
    for attempt in range(64):
        digest = hashlib.sha256(f"{os.fspath(folder)}#{attempt}".encode()).digest()
        prefix = f"10.{1 + digest[0] % 254}.{digest[1]}"
        network = ipaddress.IPv4Network(f"{prefix}.0/24")
        if not any(network.overlaps(other) for other in taken):
            return prefix
    raise LabError("No free network in 10.0.0.0/8 on 64 tries", hint="look with: ip route show table all")


def up(folder: Path, prefix: str) -> None:
    """The bridge, on which this machine is ``PREFIX.1``. Raises RuntimeError."""
    bridge = names.bridge(folder)
    run("ip", "link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    Path(f"/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6").write_text("1")
    run("ip", "address", "add", f"{prefix}.1/24", "dev", bridge)
    run("ip", "link", "set", bridge, "up")


def down(folder: Path) -> None:
    """Remove bridge and lines, as far as they are there."""
    for link in (names.bridge(folder), *_lines(folder)):
        remove(link)


def cut(line: str) -> None:
    """Nothing comes or goes any more on a host's line, as if it were pulled."""
    if _there(line):
        run("ip", "link", "set", line, "down")


def remove(line: str) -> None:
    """The line of a host that has ended. The kernel is about to remove it with the host's network, or has already.

    Raises TimeoutError.
    """
    for _ in range(100):
        with contextlib.suppress(RuntimeError):
            if not _there(line):
                return
            run("ip", "link", "delete", line)
        time.sleep(0.02)
    raise TimeoutError(f"the network interface {line} stays")


def _there(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _lines(folder: Path) -> list[str]:
    ending = names.machine(folder, "")
    return [path.name for path in Path("/sys/class/net").glob("vb-*") if path.name.endswith(ending)]
