"""``locks``: who holds what, and who waits for whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hisauto.cli.language import message, tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, duration, emit, note
from hisauto.clock import stamp

if TYPE_CHECKING:
    from hisauto.store.rows import Lock


@click.command()
@reading
def locks(session: Session) -> None:
    """Who holds what since when, and who waits for it. A run takes its locks all together and keeps them to its end.

    A key is a host, or what stands under `locks` in the runbook. A run at a gate keeps its locks; to free them,
    answer it or cancel it.

    \b
    Examples:
      hisauto locks
      hisauto locks --json | jq '.[] | select(.waiting != [])'
    \b
    Exit codes: 0
    """
    held = session.app.store.locks()
    if session.json:
        emit([_as_json(lock) for lock in held])
    elif not held:
        note(tr("nothing is locked"))
    else:
        _table(session, held)


def _as_json(lock: Lock) -> dict[str, object]:
    waiting = [{"run": each.run, "since": stamp(each.since)} for each in lock.waiting]
    return {**asdict(lock), "since": stamp(lock.since), "waiting": waiting}


def _table(session: Session, held: list[Lock]) -> None:
    from rich.table import Table
    from rich.text import Text

    now = session.app.clock.now()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in (message("LOCK"), message("HELD BY"), message("FOR"), message("WAITING FOR IT")):
        table.add_column(tr(name), no_wrap=name == "HELD BY")
    for lock in held:
        waiting = "\n".join(f"{each.run} ({duration(now - each.since)})" for each in lock.waiting)
        table.add_row(Text(clean(lock.key), style="bold"), lock.run, duration(now - lock.since), waiting)
    session.console.print(table)
