"""How soon hisauto is there: its help against click's own import, and the first command on a host after ``run``.

``python -m benchmarks.startup [N]``: N of each (default 15 and, for the host, 5).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import lab
from benchmarks.common import machine, report
from benchmarks.failover import place
from lab.demo_site import DemoSite

HELP = [str(Path(sys.executable).with_name("hisauto")), "--help"]
IMPORT = [sys.executable, "-c", "import click"]
FIRST = """runbook: bench-first
version: 1.0.0
title: {zh: 第一条命令, en: The first command}
kind: routine
owner: bench
guards:
  - {name: It says when, hosts: app1, shell: date +%s.%N >>first}
steps:
  - {name: Nothing, hosts: app1, shell: "true", changes: false}
"""


def took(argv: list[str]) -> float:
    begun = time.monotonic()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


def first_command(site: DemoSite) -> float:
    """From the start of ``hisauto run`` to its first command on a host, which writes down the time there."""
    lab.on_host(site.root, "app1", "rm -f first")
    begun = time.time()  # the lab's hosts share this machine's clock
    done = site.run("--as", "operator-1", "run", "bench-first", "--yes")
    if done.returncode != 0:
        raise SystemExit(f"bench-first ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return float(lab.on_host(site.root, "app1", "head -1 first")) - begun


def main(n: int) -> bool:
    about = machine()
    runs: dict[str, list[float]] = {"import click": [], "hisauto --help": [], "first remote command": []}
    for _ in range(n):
        runs["import click"].append(took(IMPORT))
        runs["hisauto --help"].append(took(HELP))
    with place() as site:
        (site.root / "runbooks/bench-first.yml").write_text(FIRST)
        first_command(site)  # warm: inventory read, bytecode written
        runs["first remote command"] = [first_command(site) for _ in range(max(3, n // 3))]
    middle = {what: statistics.median(seconds) for what, seconds in runs.items()}
    return report("startup", runs, {
        "hisauto --help / import click": (middle["hisauto --help"] / middle["import click"], 2.0),
        "first remote command (s)": (middle["first remote command"], 1.0),
    }, about)  # fmt: skip


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 15) else 1)
