"""``lab``: the reference hospital's lab, and the faults to try runbooks on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from hisauto.cli.language import tr
from hisauto.cli.lazy import Group
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say
from hisauto.site.site import find_site

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("processes", "machines")
FAULTS = (
    "power-cut", "hang", "reboot", "service-kill", "service-stop", "out-of-memory", "partition", "deaf", "mute",
    "firewall", "slow-line", "disk-full", "clock", "expired-certificate", "bad-package",
)  # fmt: skip


@click.group(cls=Group, no_args_is_help=False)
def lab() -> None:
    """The lab hospital: real sshd, PostgreSQL, HAProxy and a registration service on this machine.

    \b
    Examples:
      hisauto lab up
      hisauto lab break power-cut db1
      hisauto lab status
    """


def _root(session: Session) -> Path:
    """Of the site, which may not be readable yet: the lab brings its people."""
    return session.site if session.site is not None else find_site(Path.cwd())


def _progress(session: Session) -> Callable[[str], None]:
    return (lambda _: None) if session.json else lambda text: note(clean(tr(text)))


@lab.command()
@click.option("--kind", type=click.Choice(KINDS), help="What its hosts are; else HISAUTO_LAB, what is up, processes.")
@click.option("--fresh", is_flag=True, help="Build it again, even if it is healthy.")
@click.option("--async", "asynchronous", is_flag=True, help="Asynchronous replication: the loss is then unknown.")
@reading
def up(session: Session, kind: Literal["processes", "machines"] | None, fresh: bool, asynchronous: bool) -> None:
    """Bring it up healthy, from whatever state: nothing there, half-built, killed, broken.

    \b
    Examples:
      hisauto lab up
      hisauto lab up --kind machines
      hisauto lab up --fresh --async
    \b
    processes: process trees on loopback. machines, for root: each with a systemd, a network and a disk of its own.
    \b
    Exit codes: 0 it is up · 1 it can't be: the message says what is missing
    """
    import lab as hospital

    built = hospital.up(
        _root(session), kind=kind, replication="async" if asynchronous else "sync", fresh=fresh,
        progress=_progress(session),
    )  # fmt: skip
    if session.json:
        emit({"up": True, "built": built})
    else:
        say(tr("up" if built else "up already, and healthy"))


@lab.command()
@click.option("--purge", is_flag=True, help="Remove what was built and the keys, too.")
@reading
def down(session: Session, purge: bool) -> None:
    """End every process of it, and remove what it generated in the site.

    \b
    Examples:
      hisauto lab down
    \b
    Exit codes: 0 · 1
    """
    import lab as hospital

    hospital.down(_root(session), purge=purge, progress=_progress(session))
    if session.json:
        emit({"up": False})
    else:
        say(tr("down"))


@lab.command()
@reading
def status(session: Session) -> int:
    """How every host stands, as found. Asks each; changes nothing.

    \b
    Examples:
      hisauto lab status --json
    \b
    Exit codes: 0 it is up (not: healthy) · 1 it is down
    """
    import lab as hospital

    found = hospital.status(_root(session))
    if session.json:
        emit(asdict(found))
    elif not found.up:
        say(tr("down"))
    else:
        _table(session, found)
    return 0 if found.up else 1


def _table(session: Session, found: object) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("HOST", "ADDRESS", "POWER", "SERVICE", "ROLE", "PROCESSES"):
        table.add_column(tr(name))
    data = asdict(found)  # type: ignore[call-overload]  # a Status; its class is only imported when the lab is
    for name, host in data["hosts"].items():
        style = "" if (host["power"], host["service"]) == ("on", "running") else "bold red"
        cells = (name, host["address"], host["power"], host["service"], host["role"], ", ".join(host["processes"]))
        table.add_row(*(Text(clean(cell)) for cell in cells), style=style)
    session.console.print(table)
    say(tr(f"replication: {data['replication']}"))


@lab.command(name="break")
@click.argument("fault", type=click.Choice(FAULTS))
@click.argument("host")
@click.argument("peer", required=False)
@reading
def break_(session: Session, fault: str, host: str, peer: str | None) -> None:
    """Break HOST; returns when it has happened. HOST: db1, db2, lb1, app1, app2; of machines also app3, repo1, ins1,
    nhsa. docs/lab.md says what each fault does.

    \b
    In every lab:
      power-cut     nothing runs any more, /run is wiped, connections time out
      hang          nothing answers, until it is healed
      service-kill  its main service is killed
      service-stop  its main service is stopped as planned
    \b
    In one of machines:
      reboot, out-of-memory, slow-line, disk-full
      partition, deaf      cut off from PEER, a host or "node"; deaf: one way
      clock, bad-package   of an application host
      expired-certificate  of the proxy
    \b
    Examples:
      hisauto lab break power-cut db1
      hisauto lab break partition db1 db2
    \b
    Exit codes: 0 it has happened · 1 it could not be done · 2 no such fault
    """
    import lab as hospital

    hospital.break_(_root(session), fault, host, peer)
    if session.json:
        emit({"host": host, "fault": fault, "peer": peer})
    else:
        say(f"{clean(host)}: {fault}")


@lab.command()
@click.argument("host", required=False)
@reading
def heal(session: Session, host: str | None) -> None:
    """Power on, thaw, undo every fault, start the proxy or application again: HOST, or all. Never starts PostgreSQL:
    a primary that came back would be a second one.

    \b
    Examples:
      hisauto lab heal db1
    \b
    Exit codes: 0 · 1 it could not be done
    """
    import lab as hospital

    hospital.heal(_root(session), host)
    if session.json:
        emit({"healed": host or "all"})
    else:
        say(tr(f"{clean(host) if host else 'all hosts'}: healed"))
