"""``make demo``: a hospital's primary database dies under load, and a runbook brings the service back.

Everything is real and on this machine: sshd, PostgreSQL, HAProxy, a registration service. Unattended if ``CI`` is set
or nobody sits at a terminal: then the lab's own keys sign. Exit 0 only if all that was promised was kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

import lab
from hisauto.errors import HisautoError
from lab import prereq
from lab import site as sitefiles
from lab.demo_load import Load, Proof
from lab.demo_run import DemoRun
from lab.demo_site import REPOSITORY, DemoSite, alone
from lab.errors import LabError
from lab.layout import Kind

INTERRUPTED = 130
MADE_OF: dict[Kind, str] = {
    "processes": "process trees on loopback",
    "machines": "machines, each with a systemd, a network and a disk of its own",
}
WARM_UP = 0.8
"""Seconds of load before anything breaks."""


@dataclass(frozen=True)
class Check:
    """One line of the result."""

    what: str
    promised: str
    measured: str
    kept: bool


class Demo:
    """The story, in order."""

    def __init__(self, site: DemoSite, attended: bool, console: Console) -> None:
        self.site, self.attended, self.console = site, attended, console
        self.began = time.monotonic()
        self.runs: list[str] = []

    # ---------------------------------------------------------------- what is said
    def heading(self, english: str, chinese: str) -> None:
        self.console.print()
        self.console.print(Text(f"── {english} · {chinese}", style="bold cyan"))

    def say(self, text: str) -> None:
        self.console.print(Text(f"   {text}"), soft_wrap=True)

    # ---------------------------------------------------------------- the story
    def tell(self) -> bool:
        """All of it; whether everything was as promised. Raises HisautoError."""
        load = self.hospital()
        cut = self.power_cut()
        failover = self.run(
            "database-failover", ("dba-1", "duty-1"), cut, "--incident", "DEMO-1", "--level", "1",
            "--reported", cut.isoformat(timespec="milliseconds"), "--reason", "db1 went dark",
        )  # fmt: skip
        checks = objectives(failover)
        if failover["state"] == "succeeded":
            checks += self.rejoin()
            checks += proofs(load.end())
        checks += self.audit()
        return self.result(checks)

    def hospital(self) -> Load:
        self.heading("A hospital comes up", "搭建医院")
        self.site.renew()
        kind = self.kind()
        lab.up(self.site.root, kind=kind, fresh=True, progress=self.say)
        facts = sitefiles.read(self.site.root)
        if facts is None:
            raise LabError("the lab has come up without its record")
        self.say(", ".join(f"{host} {address}" for host, address in facts["hosts"].items()))
        self.heading("Patients register; every write is put on record", "患者挂号，每笔写入记账")
        load = Load(self.site.root, facts)
        load.begin()
        time.sleep(WARM_UP)
        self.say(f"registration desk: {facts['urls']['registration']}/   database: {facts['proxy']['address']}")
        return load

    def kind(self) -> Kind:
        """The kind of lab that is demanded, or the best that this machine carries; says which, and what it lacks."""
        best, kind = prereq.best(), prereq.demanded()
        kind = kind or best.kind
        self.say(f"Its hosts are {MADE_OF[kind]}.")
        self.say("It can't show " + "; ".join(f"{what} ({why})" for what, why in prereq.LEFT_OUT[kind]) + ".")
        if kind != best.kind or best.lacking:
            self.say(f"For machines it would take: {'; '.join(best.lacking) or f'no {prereq.CHOICE}'}.")
        return kind

    def power_cut(self) -> datetime:
        self.heading("The primary database loses its power", "主库突然断电")
        cut = datetime.now().astimezone()
        lab.break_(self.site.root, "power-cut", "db1")
        self.say(f"db1 is dark since {cut:%H:%M:%S}. From now on nobody can register.")
        return cut

    def run(self, runbook: str, people: tuple[str, ...], began: datetime, *arguments: str) -> dict[str, Any]:
        titles = {
            "database-failover": ("The runbook: guards, approval, fence, promote, repoint, verify", "按预案切换到备库"),
            "database-rejoin": ("The old primary comes back as a standby", "旧主库重建为备库"),
        }
        self.heading(*titles[runbook])
        self.say(self.site.shown(shlex.join(["--as", "operator-1", "run", runbook, *arguments])))
        found = DemoRun(self.site, runbook, arguments, people, self.say, began=began).go(self.attended)
        self.runs.append(found["id"])
        return found

    def rejoin(self) -> list[Check]:
        found = self.run("database-rejoin", ("dba-1",), datetime.now().astimezone(), "--reason", "redundancy again")
        roles = {host: seen.role for host, seen in lab.status(self.site.root).hosts.items() if host.startswith("db")}
        return [
            Check("old primary", "a standby again", f"{roles.get('db1', 'unknown')}, run {found['state']}",
                  found["state"] == "succeeded" and roles == {"db1": "standby", "db2": "primary"}),
        ]  # fmt: skip

    def audit(self) -> list[Check]:
        self.heading("The log is verified", "校验审计日志")
        done = self.site.run("audit", "verify")
        for line in (done.stdout + done.stderr).splitlines():
            self.say(line)
        return [Check("audit log", "every entry holds", "verified" if done.returncode == 0 else "NOT verified",
                      done.returncode == 0)]  # fmt: skip

    def result(self, checks: list[Check]) -> bool:
        self.heading("Result", "结果")
        table = Table(box=None, padding=(0, 2, 0, 1))
        for column in ("", "promised", "measured", ""):
            table.add_column(column)
        for check in checks:
            word, style = ("kept", "green") if check.kept else ("NOT KEPT", "bold red")
            table.add_row(*map(Text, (check.what, check.promised, check.measured)), Text(word, style=style))
        self.console.print(table)
        return all(check.kept for check in checks)

    def farewell(self, kept: bool, keep: bool) -> None:
        self.console.print()
        self.say(f"{'All was kept' if kept else 'NOT all was kept'}, after {time.monotonic() - self.began:.0f} s.")
        self.say("Where to look next:")
        for run in self.runs:
            self.say(f"  {self.site.shown('show', run)}")
        self.say(f"  {self.site.shown('audit', 'log')}")
        if keep:
            self.say("The lab is still up. To break more, and to end it:")
            self.say(f"  {self.site.shown('lab', 'status')}")
            self.say(f"  {self.site.shown('lab', 'down')}")


def objectives(run: dict[str, Any]) -> list[Check]:
    """The run's end, and its promises against what it measured. What is unknown is not kept."""
    checks = [Check("failover", "succeeds", f"{run['state']} {run['summary'].get('why', '')}".strip(),
                    run["state"] == "succeeded")]  # fmt: skip
    for name, what in (("rto", "RTO: power cut to verified"), ("rpo", "RPO: data lost")):
        known = run["summary"].get(name) or {}
        promised, measured = known.get("promised"), known.get("measured")
        kept = promised is not None and measured is not None and measured <= promised
        checks.append(Check(what, seconds(promised), seconds(measured), kept))
    return checks


def seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} s"


def proofs(proof: Proof) -> list[Check]:
    """What load and watcher saw, who know nothing of the runbook."""
    order = " then ".join(dict.fromkeys(proof.reigns)) or "nobody"
    return [
        Check("longest gap of the write load", "-", seconds(proof.gap), True),
        Check("writes lost", f"0 of {proof.written}", str(proof.written_lost),
              proof.written > 0 and proof.written_lost == 0),
        Check("registrations lost", f"0 of {proof.registered}", str(proof.registered_lost),
              proof.registered > 0 and proof.registered_lost == 0),
        Check("hosts that take writes", "one at a time", f"{order}; at once: {proof.two_writers} times",
              proof.two_writers == 0 and {"db1", "db2"} <= set(proof.reigns)),
    ]  # fmt: skip


@contextlib.contextmanager
def told_to_end() -> Iterator[None]:
    """SIGTERM and SIGHUP end the story as Ctrl-C does: with the lab taken down."""

    def end(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    yield


def take_down(site: DemoSite, say: Callable[[str], None]) -> None:
    """Nothing runs any more. Another Ctrl-C doesn't stop that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    site.end_processes()
    lab.down(site.root)
    say("The lab is down; runs and log are still there.")


def play(folder: Path, keep: bool) -> int:
    """One demo, whatever the last one left. Raises HisautoError."""
    unattended = os.environ.get("CI", "").lower() not in ("", "0", "false")
    attended = sys.stdin.isatty() and sys.stdout.isatty() and not unattended
    prereq.check(prereq.demanded() or "processes")
    with alone(folder) as site, told_to_end():
        demo = Demo(site, attended, Console(highlight=False, width=None if sys.stdout.isatty() else 120))
        kept = finished = False
        try:
            kept = demo.tell()
            demo.farewell(kept, keep)
            finished = True
        except KeyboardInterrupt:
            demo.say("interrupted")
            return INTERRUPTED
        finally:
            if not (keep and finished):
                take_down(site, demo.say)
        return 0 if kept else 1


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description="A database failover in the lab hospital")
    parser.add_argument("--keep", action="store_true", help="leave the lab up at the end")
    parser.add_argument("--site", type=Path, default=REPOSITORY / ".hisauto/demo", help="the demo's own folder")
    options = parser.parse_args(argv)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that can't show it shows ?
    try:
        return play(options.site.resolve(), options.keep)
    except HisautoError as error:
        print(f"demo: {error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    except TimeoutError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
