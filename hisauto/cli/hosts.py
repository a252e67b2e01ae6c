"""``hosts``: the inventory, and who answers."""

from __future__ import annotations

import click

from hisauto.cli import completing
from hisauto.cli.language import message, tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, duration, emit, note
from hisauto.reach import Reached, reach
from hisauto.site.patterns import resolve


@click.command()
@click.argument("pattern", default="all", shell_complete=completing.hosts)
@click.option("--ping", is_flag=True, help="Log in to each, and say how long it took or why not.")
@reading
def hosts(session: Session, pattern: str, ping: bool) -> int:
    """The inventory as Ansible sees it: every host of PATTERN (Ansible's patterns), its groups and address.

    \b
    Examples:
      hisauto hosts
      hisauto hosts 'his_db:!db1' --ping
    \b
    Exit codes: 0 · 2 no such host or group · 5 a host does not answer
    """
    inventory = session.app.inventory
    names = resolve(pattern, inventory)
    reached = {r.host: r for r in reach(session.app, names)} if ping else {}
    found = []
    for name in names:
        own = inventory.vars(name)
        address = f"{own.get('ansible_host', name)}:{own.get('ansible_port', 22)}"
        answer = reached.get(name)
        found.append(
            {"host": name, "groups": list(own.get("group_names", ())), "address": address}
            | ({"reachable": not answer.why, "seconds": round(answer.seconds, 3), "why": answer.why} if answer else {})
        )
    if session.json:
        emit(found)
    elif not names:
        note(tr(f"no host matches {clean(pattern)}"))
    else:
        _table(session, found, reached)
    return 5 if any(r.why for r in reached.values()) else 0


def _table(session: Session, found: list[dict[str, object]], reached: dict[str, Reached]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    headers = (message("HOST"), message("ADDRESS"), message("GROUPS"), message("REPLIES"))
    for name in headers if reached else headers[:3]:
        table.add_column(tr(name), no_wrap=name in ("HOST", "ADDRESS"))
    for host in found:
        groups = host["groups"]
        assert isinstance(groups, list)
        cells = [Text(clean(host["host"]), style="bold"), Text(clean(host["address"])), Text(clean(" ".join(groups)))]
        if answer := reached.get(str(host["host"])):
            cells.append(
                Text(tr(f"NO, after {duration(answer.seconds)}: {clean(answer.why)}"), style="bold red")
                if answer.why
                else Text(tr(f"yes, {answer.seconds * 1000:.0f} ms"), style="green")
            )
        table.add_row(*cells)
    session.console.print(table)
