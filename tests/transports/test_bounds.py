"""What 50 MB of output cost the node in memory: what a result keeps, not what a command writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hisauto.transports.session import CAP

from .places import Sshd

BOUND = 40 << 20
"""8 MiB kept, in the few copies that it is handed on in, and the window of the channel."""
NODE = """
import json, sys
from pathlib import Path
from hisauto.model.transport import Script
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

known, key, base, port, how, cap = sys.argv[1:]
transport = SshTransport(known_hosts=[Path(known)], keys=Keys([Path(key)]), base=base, cap=int(cap))
session = transport.session("c", {"ansible_host": "127.0.0.1", "ansible_port": port}, "run")

def call(name, script):
    if how == "probe":
        return session.probe(Script(script), on_output=count)
    return session.act(name, 1, Script(script), session.place(), on_output=count).completed

def count(stream, data):
    global seen
    seen += len(data)

def peak():  # not getrusage's, which begins with that of whoever started us
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

seen = 0
call("small", "echo x")
before, seen = peak(), 0
done = call("large", "head -c 50000000 /dev/zero")
print(json.dumps({"grown": peak() - before, "seen": seen, "kept": len(done.out), "truncated": done.truncated}))
transport.close()
"""


def told(sshd: Sshd, base: Path, how: str, cap: int) -> dict[str, Any]:
    words = map(str, (sshd.known_hosts, sshd.key, base, sshd.port, how, cap))
    node = subprocess.run([sys.executable, "-c", NODE, *words], capture_output=True, check=False, timeout=100)
    assert not node.stderr, node.stderr.decode()
    return dict(json.loads(node.stdout))


@pytest.mark.parametrize("how", ["probe", "act"])
def test_memory_is_bounded(sshd: Sshd, tmp_path: Path, how: str) -> None:
    bounded = told(sshd, tmp_path / "receipts", how, CAP)
    assert (bounded["seen"], bounded["kept"], bounded["truncated"]) == (50_000_000, CAP, True)
    assert bounded["grown"] < BOUND


def test_memory_is_measured(sshd: Sshd, tmp_path: Path) -> None:
    """The same measure sees a node that keeps it all."""
    unbounded = told(sshd, tmp_path / "receipts", "probe", 50_000_000)
    assert not unbounded["truncated"] and unbounded["grown"] > BOUND
