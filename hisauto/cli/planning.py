"""``plan``: what would happen now, and what is known of it. Also the short form that ``run`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hisauto.app import Planned
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit
from hisauto.cli.words import title
from hisauto.plan.look import Seen
from hisauto.plan.look import brief as values_of
from hisauto.plan.plan import walk
from hisauto.plan.preview import Line, Outlook

REFUSED = 3
OUTLOOKS = {
    Outlook.change: ("will change", "bold"), Outlook.already: ("already so", "green"),
    Outlook.unknown: ("can't be known yet", "yellow"), Outlook.look: ("only looks", "dim"),
    Outlook.gate: ("people decide", "bold yellow"), Outlook.notify: ("tells people", "dim"),
}  # fmt: skip
TRUTHS = {
    "true": ("holds", "green"), "false": ("DOES NOT HOLD", "bold red"), "unknown": ("CANNOT BE TOLD", "bold yellow"),
}  # fmt: skip


def read_params(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """``-p K=V``, each name once."""
    found: dict[str, str] = {}
    for text in value:
        name, equals, given = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected NAME=VALUE, not '{clean(text)}'")
        if name in found:
            raise click.BadParameter(f"'{clean(name)}' is given twice")
        found[name] = given
    return found


params_option = click.option(
    "-p", "--param", "params", multiple=True, metavar="K=V", callback=read_params, help="A parameter; may be repeated."
)


@click.command()
@click.argument("runbook")
@params_option
@reading
def plan(session: Session, runbook: str, params: dict[str, str]) -> int:
    """What RUNBOOK (a name, or a file) would do now: which hosts, every guard's answer, and step by step on each host
    whether it will change, is already so, or can't be known yet. It only looks; nothing is touched.

    \b
    Examples:
      hisauto plan database-failover
      hisauto plan database-failover -p accept_loss=unknown --json
    \b
    Exit codes: 0 it could run · 1 the runbook has mistakes · 2 no such runbook or parameter
                3 a guard or the hosts say no, or can't be told · 5 unreachable
    """
    planned = session.app.plan(runbook, params)
    if session.json:
        emit(to_json(planned))
    else:
        show(session, planned)
    return 0 if planned.ready else REFUSED


def to_json(planned: Planned) -> dict[str, Any]:
    made = planned.plan
    return {
        "runbook": made.runbook.runbook,
        "version": made.runbook.version,
        "digest": made.digest,
        "ready": planned.ready,
        "params": made.params,
        "hosts": {name: list(found) for name, found in made.hosts.items()},
        "locks": list(made.locks),
        "guards": [{"name": name, **seen.values()} for name, seen in planned.guards],
        "steps": [
            {"path": line.path, "name": line.name, "host": line.host, "outlook": line.outlook.value, "why": line.why,
             "depth": line.depth, "irreversible": line.irreversible, "undo": line.undo}
            for line in planned.lines
        ],
    }  # fmt: skip


def show(session: Session, planned: Planned, *, brief: bool = False) -> None:
    """``brief``: who, what, hosts, guards, digest; without the steps."""
    console, made = session.console, planned.plan
    runbook = made.runbook
    console.print(Text(f"{runbook.runbook} {runbook.version}  {title(runbook.title)}", style="bold"))
    head = Table.grid(padding=(0, 2, 0, 0))
    for name, value in made.params.items():
        head.add_row(Text("param", style="dim"), Text(f"{name} = {clean(value)}"))
    for name, found in made.hosts.items():
        shown = f"{name} = {clean(', '.join(found)) or 'none'}{_how(planned.found.get(name))}"
        head.add_row(Text("hosts", style="dim"), Text(shown))
    head.add_row(Text("locks", style="dim"), Text(clean(", ".join(made.locks)) or "none"))
    head.add_row(Text("digest", style="dim"), made.digest[:16] + "..." if brief else made.digest)
    console.print(head)
    if planned.guards:
        console.print(_guards(planned))
    if not brief:
        console.print()
        console.print(_steps(planned.lines))
    for step in walk(made.runbook.steps):
        if step.irreversible:
            console.print(Text(f"no way back after: {clean(step.name)} ({clean(step.irreversible)})", style="bold red"))
    if not planned.ready:
        console.print(Text("It would be refused: not every guard holds.", style="bold red"))


def _how(seen: Seen | None) -> str:
    """For hosts that were found by a look: what the others said."""
    if seen is None:
        return ""
    others = [f"{h.host}: {h.why}" for h in seen.hosts if h.why and h.host not in seen.known_hosts]
    return f"   ({clean('; '.join(others))})" if others else ""


def _guards(planned: Planned) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, seen in planned.guards:
        words, style = TRUTHS[seen.truth.value]
        said = "; ".join(f"{h.host or 'node'}: {values_of(h.observation.values)}" for h in seen.hosts)
        why = clean(seen.why or said)[:200]
        table.add_row(Text("guard", style="dim"), Text(words, style=style), Text(clean(name)), Text(why, style="dim"))
    return table


def _steps(lines: Sequence[Line]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("STEP", "WHERE", "NOW", "WAY BACK", "WHY"):
        table.add_column(name, no_wrap=name in ("WHERE", "NOW"))
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        words, style = OUTLOOKS[line.outlook]
        is_block = after is not None and after.depth > line.depth
        table.add_row(
            Text("  " * line.depth + clean(line.name)),
            Text(clean(line.host or "")),
            Text(words, style=style),
            Text() if is_block else _way_back(line),
            Text(clean(line.why)[:200], style="dim"),
        )
    return table


def _way_back(line: Line) -> Text:
    if line.irreversible:
        return Text("IRREVERSIBLE", style="bold red")
    if line.undo:
        return Text("undo", style="green")
    return Text("none" if line.outlook in (Outlook.change, Outlook.unknown) else "", style="dim")
