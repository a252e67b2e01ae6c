"""The same failover, with the same proofs, as a shell script over ControlMaster and as the runbook without its gates.

``python -m benchmarks.failover [N]``: N of each (default 5), in turns, each on a lab that was just built.
HISAUTO_BENCH_LOG=1 shows what each of them said.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

import lab
from benchmarks.common import machine, report
from lab import site as sitefiles
from lab.database import connect
from lab.demo_site import DemoSite, alone
from lab.layout import HTTP_PORT, PG_PORT

RATIO = 1.2
SCRIPT = Path(__file__).with_name("failover.sh")
UNGATED = "failover-ungated"
PLAY = "- hosts: all\n  gather_facts: false\n  roles: [haproxy_backend]\n"


def ungated(site: Path) -> None:
    """The bundled runbook without its approvals, beside it."""
    text = (site / "runbooks/database-failover.yml").read_text()
    text = text.replace("runbook: database-failover\n", f"runbook: {UNGATED}\n")
    steps = re.split(r"(?m)^(?=  - name: |[a-z_]+:)", text)
    kept = [step for step in steps if not re.search(r"(?m)^    approve:", step)]
    assert len(steps) - len(kept) == 2, "the runbook has two gates"
    (site / f"runbooks/{UNGATED}.yml").write_text("".join(kept))
    (site / "bench.yml").write_text(PLAY)


def environment(site: Path) -> dict[str, str]:
    """What the script has to know."""
    facts = sitefiles.read(site)
    assert facts is not None
    variables = yaml.safe_load((site / "inventory/host_vars/db1/lab.yml").read_text())
    settings = yaml.safe_load((site / "hisauto.yml").read_text())
    return {
        **os.environ, "SITE": str(site), "INVENTORY": str(site / "inventory"), "KEY": facts["client_key"],
        "KNOWN_HOSTS": facts["known_hosts"], "LOGIN": facts["user"], "PORT": str(facts["ssh_port"]),
        "PG_PORT": str(PG_PORT), "HTTP_PORT": str(HTTP_PORT), "TIMEOUT": settings["ssh"]["connect_timeout"].rstrip("s"),
        "POWER_db1": " ".join(variables["power_command"]), "ANSIBLE_ROLES_PATH": str(site / "roles"),
        "ANSIBLE_HOST_KEY_CHECKING": "true", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{f"ADDRESS_{host}": address for host, address in facts["hosts"].items()},
    }  # fmt: skip


def timed(argv: list[str], env: dict[str, str], log: Path) -> float:
    """Seconds; raises SystemExit with the log if it fails: a failover that failed has no time."""
    begun = time.monotonic()
    with log.open("w") as out:
        done = subprocess.run(argv, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
    took = time.monotonic() - begun
    if done.returncode != 0:
        raise SystemExit(f"{argv[-1]} ended with {done.returncode}:\n{log.read_text()}")
    return took


def broken(site: Path) -> None:
    """A lab just built, with its primary dark; not before the standby knows that it was synchronous."""
    lab.up(site, kind="processes", fresh=True)
    facts, deadline = sitefiles.read(site), time.monotonic() + 15
    assert facts is not None
    with connect(facts["dsn"]["db2"], 20) as connection:
        while connection.execute("select 1 from replication_seen where synchronous").fetchone() is None:
            assert time.monotonic() < deadline, "no synchronous standby within 15 s"
            time.sleep(0.05)
    lab.break_(site, "power-cut", "db1")


@contextmanager
def place() -> Iterator[DemoSite]:
    """A site with a lab and a node at work, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hisauto-bench-"))
    try:
        with alone(folder / "site") as site:
            try:
                site.renew()
                lab.up(site.root, kind="processes", fresh=True)
                ungated(site.root)
                with (folder / "node.log").open("w") as log:
                    site.start("node", stdout=log, stderr=log, stdin=subprocess.DEVNULL)
                yield site
            finally:
                site.end_processes()
                lab.down(site.root, purge=True)
    finally:
        shutil.rmtree(folder)


def main(n: int) -> bool:
    about = machine()
    runs: dict[str, list[float]] = {"shell script": [], "runbook": []}
    with place() as site:
        log = site.root / "bench.log"
        for turn in range(n):
            for what in runs if turn % 2 else reversed(runs):
                broken(site.root)
                if what == "runbook":
                    argv = site.command("--as", "operator-1", "run", UNGATED, "--yes")
                    took = timed(argv, site.environment, log)
                else:
                    took = timed([str(SCRIPT)], environment(site.root), log)
                print(f"{what}: {took:.2f} s", flush=True)
                if os.environ.get("HISAUTO_BENCH_LOG"):
                    print(log.read_text(), flush=True)
                runs[what].append(took)
    ratio = statistics.median(runs["runbook"]) / statistics.median(runs["shell script"])
    return report("failover", runs, {"runbook / shell script": (ratio, RATIO)}, about)


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 5) else 1)
