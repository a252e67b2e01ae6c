"""What a node costs while many runs wait at their gates: memory, processor, and how soon it ends when it is told to.

``python -m benchmarks.waiting [N]``: N runs (default 500), all of them at a gate, of one node on SQLite.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.common import machine, report
from hisauto.app import App
from hisauto.cli.nodes import is_working

GATE = """runbook: bench-waits
version: 1.0.0
title: {zh: 等待审批, en: It waits at a gate}
kind: routine
owner: bench
steps:
  - name: One person agrees
    approve: {question: Go on?, by: {dba: 1}, within: 10h}
  - name: Nothing
    command: "true"
    changes: false
"""
IDLE = 20.0
"""Seconds for which the processor is looked at."""
PATIENCE = 600.0


def site(root: Path) -> Path:
    """Two people, and no host: a step runs on the node. The key of who asks."""
    for folder in ("runbooks", "inventory"):
        (root / folder).mkdir()
    people = {}
    for person, role in {"op-1": "operator", "dba-1": "dba"}.items():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / person], check=True)
        people[person] = {"roles": [role], "keys": [" ".join((root / f"{person}.pub").read_text().split()[:2])]}
    may = {"run": ["operator"], "decide": ["dba"], "cancel": ["operator"]}
    (root / "hisauto.yml").write_text(json.dumps({"site": {"id": "bench"}, "people": people, "may": may}))
    (root / "inventory/hosts.yml").write_text(json.dumps({"all": {"hosts": {"h1": {"ansible_host": "127.0.0.1"}}}}))
    (root / "runbooks/bench-waits.yml").write_text(GATE)
    return root / "op-1"


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() >= deadline:
            raise SystemExit("the runs don't come to their gates")
        time.sleep(0.1)


def main(n: int) -> bool:
    about = machine() | {"runs": n}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        key = site(root)
        app = App.find(root, root)
        argv = [sys.executable, "-m", "hisauto", "--site", str(root), "node"]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: is_working(root / ".hisauto"))
                node, by = psutil.Process(process.pid), app.signer("op-1", key)
                empty, begun = node.memory_info().rss, time.monotonic()
                for _ in range(n):
                    app.request(app.plan("bench-waits", {}, ahead=False), by)
                until(lambda: sum(view.question is not None for view in app.store.runs(limit=n)) == n)
                parked = time.monotonic() - begun
                before = node.cpu_times()
                time.sleep(IDLE)
                after = node.cpu_times()
                full = node.memory_info().rss
                told = time.monotonic()
                process.send_signal(signal.SIGTERM)
                process.wait()
                ended = time.monotonic() - told
            finally:
                process.kill()
                app.store.close()
        cpu = (after.user + after.system - before.user - before.system) / IDLE
        about |= {"MiB before": round(empty / 2**20), "processor, idle": round(cpu, 4)}
        print(f"memory before the first run: {empty / 2**20:.0f} MiB; idle it takes {100 * cpu:.2f} % of a core")
        return report("waiting", {f"{n} runs to their gates": [parked]}, {
            f"memory with {n} runs at their gates (MiB)": (full / 2**20, 150.0),
            "from SIGTERM to its end (s)": (ended, 2.0),
        }, about)  # fmt: skip


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 500) else 1)
