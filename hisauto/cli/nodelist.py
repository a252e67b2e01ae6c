"""``nodes``: who works here, and on what."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hisauto.cli.language import message, tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, duration, emit, note
from hisauto.clock import stamp
from hisauto.engine.liveness import SILENCE

if TYPE_CHECKING:
    from hisauto.store.rows import Node


@click.command()
@reading
def nodes(session: Session) -> int:
    """The orchestrator nodes of this site, whether they live, and the runs that each drives. Those that wait need none.

    A node says that it lives every 1.5 s. One that is silent has died, is frozen, or can't reach the database: nobody
    can tell which from here. On PostgreSQL another node takes over its runs; on SQLite the next node to start does.

    \b
    Examples:
      hisauto nodes
      hisauto nodes --json | jq '.[] | select(.alive | not)'
    \b
    Exit codes: 0 a node works · 1 none does
    """
    found = session.app.store.nodes()
    alive = [node for node in found if is_alive(node)]
    if session.json:
        emit([_as_json(node) for node in found])
    elif not found:
        note(tr("no node works here; `hisauto node` starts one"))
    else:
        _table(session, found)
    return 0 if alive else 1


def is_alive(node: Node) -> bool:
    """Whether it has said so lately."""
    return node.silent < SILENCE


def _as_json(node: Node) -> dict[str, object]:
    moments = {"started": stamp(node.started), "seen": stamp(node.seen)}
    return {**asdict(node), **moments, "silent": round(node.silent, 1), "alive": is_alive(node)}


def _table(session: Session, found: list[Node]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in (message("NODE"), message("MACHINE"), message("PROCESS"), message("STARTED"), message("STATE"),
                 message("DRIVES")):  # fmt: skip
        table.add_column(tr(name), no_wrap=name == "NODE")
    for node in found:
        silent = Text(tr(f"silent for {duration(node.silent)}"), style="bold red")
        table.add_row(
            Text(clean(node.id), style="bold"), Text(clean(node.host)), str(node.pid),
            node.started.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            Text(tr("alive"), style="green") if is_alive(node) else silent, "\n".join(node.drives),
        )  # fmt: skip
    session.console.print(table)
