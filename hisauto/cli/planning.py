"""``plan``: what would happen now, and what is known of it. Also the short form that ``run`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hisauto.app import Planned
from hisauto.cli import completing
from hisauto.cli.language import message, tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, say
from hisauto.cli.words import title
from hisauto.clock import stamp
from hisauto.errors import UsageError
from hisauto.plan.look import Seen
from hisauto.plan.look import brief as values_of
from hisauto.plan.plan import walk
from hisauto.plan.preview import Line, Outlook

REFUSED = 3
OUTLOOKS = {
    Outlook.change: (message("will change"), "bold"), Outlook.already: (message("already so"), "green"),
    Outlook.unknown: (message("can't be known yet"), "yellow"), Outlook.look: (message("only looks"), "dim"),
    Outlook.gate: (message("people decide"), "bold yellow"), Outlook.notify: (message("tells people"), "dim"),
    Outlook.manual: (message("done by hand"), "bold yellow"),
}  # fmt: skip
TRUTHS = {
    "true": (message("holds"), "green"), "false": (message("DOES NOT HOLD"), "bold red"),
    "unknown": (message("CANNOT BE TOLD"), "bold yellow"),
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
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="K=V",
    callback=read_params,
    shell_complete=completing.params,
    help="A parameter; may be repeated.",
)


@click.command()
@click.argument("runbook", shell_complete=completing.runbooks)
@params_option
@click.option(
    "--diff", "run", metavar="RUN", shell_complete=completing.runs,
    help="Only what differs from the plan of RUN; `last`: the newest run's.",
)  # fmt: skip
@click.option("--manual", is_flag=True, help="On paper: what to type by hand, with boxes to tick and lines to sign.")
@reading
def plan(session: Session, runbook: str, params: dict[str, str], run: str | None, manual: bool) -> int:
    """What RUNBOOK (a name, or a file) would do now: which hosts, every guard's answer, and step by step on each host
    whether it will change, is already so, or can't be known yet. It only looks; nothing is touched.

    \b
    Examples:
      hisauto plan database-failover
      hisauto plan database-failover -p accept_loss=unknown --json
      hisauto plan database-failover --diff last
      hisauto plan database-failover --manual | lp
    \b
    Exit codes: 0 it could run · 1 the runbook has mistakes · 2 no such runbook or parameter
                3 a guard or the hosts say no, or can't be told · 5 unreachable
                with --diff: 0 the same plan · 1 it differs
    """
    if manual and run is not None:
        raise UsageError("--manual and --diff are two different things: choose one")
    if manual:
        return _manual(session, runbook, params)
    if run is not None:
        from hisauto.cli.comparing import compare

        return compare(session, runbook, params, run)
    planned = session.app.plan(runbook, params)
    if session.json:
        emit(to_json(planned))
    else:
        show(session, planned)
    return 0 if planned.ready else REFUSED


def _manual(session: Session, runbook: str, params: dict[str, str]) -> int:
    from hisauto.cli.paper import paper

    made, text = paper(session.app, runbook, params)
    if session.json:
        emit({"runbook": made.runbook.runbook, "version": made.runbook.version, "digest": made.digest, "paper": text})
    else:
        say(text.rstrip("\n"))
    return 0


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
        "secrets": made.secret_names,
        "window": {"granted": planned.window.granted, "bound": planned.window.bound, "why": planned.window.why,
                   "until": stamp(planned.window.until) if planned.window.until else None},
        "guards": [{"name": name, **seen.values()} for name, seen in planned.guards],
        "steps": [
            {"path": line.path, "name": line.name, "host": line.host, "outlook": line.outlook.value, "why": line.why,
             "depth": line.depth, "irreversible": line.irreversible, "undo": line.undo, "diff": line.diff}
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
        head.add_row(Text(tr("param"), style="dim"), Text(f"{name} = {clean(value)}"))
    for name, found in made.hosts.items():
        shown = f"{name} = {clean(', '.join(found)) or tr('none')}{_how(planned.found.get(name))}"
        head.add_row(Text(tr("hosts"), style="dim"), Text(shown))
    head.add_row(Text(tr("locks"), style="dim"), Text(clean(", ".join(made.locks)) or tr("none")))
    if made.secret_names:
        head.add_row(Text(tr("secrets"), style="dim"), clean(", ".join(made.secret_names)))
    window = Text(tr(planned.window.why), style="" if planned.window.granted else "red")
    head.add_row(Text(tr("window"), style="dim"), window)
    head.add_row(Text(tr("digest"), style="dim"), made.digest[:16] + "..." if brief else made.digest)
    console.print(head)
    if planned.guards:
        console.print(_guards(planned))
    if not brief:
        console.print()
        console.print(_steps(planned.lines))
        for line in planned.lines:
            if line.diff:
                console.print(_diff(line))
    for step in walk(made.runbook.steps):
        if step.irreversible:
            said = tr(f"no way back after: {clean(step.name)} ({clean(step.irreversible)})")
            console.print(Text(said, style="bold red"))
    if not planned.ready:
        console.print(Text(tr(f"It would be refused: {'; '.join(planned.refused)}."), style="bold red"))


def _how(seen: Seen | None) -> str:
    """For hosts that were found by a look: what the others said."""
    if seen is None:
        return ""
    others = [f"{h.host}: {tr(h.why)}" for h in seen.hosts if h.why and h.host not in seen.known_hosts]
    return f"   ({clean('; '.join(others))})" if others else ""


def _guards(planned: Planned) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, seen in planned.guards:
        words, style = TRUTHS[seen.truth.value]
        said = "; ".join(f"{h.host or tr('node')}: {values_of(h.observation.values)}" for h in seen.hosts)
        why = clean(tr(seen.why) or said)[:200]
        label, answer = Text(tr("guard"), style="dim"), Text(tr(words), style=style)
        table.add_row(label, answer, Text(clean(name)), Text(why, style="dim"))
    return table


def _steps(lines: Sequence[Line]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("STEP", "WHERE", "NOW", "WAY BACK", "WHY"):
        table.add_column(tr(name), no_wrap=name in ("WHERE", "NOW"))
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        words, style = OUTLOOKS[line.outlook]
        is_block = after is not None and after.depth > line.depth
        table.add_row(
            Text("  " * line.depth + clean(line.name)),
            Text(clean(line.host or "")),
            Text(tr(words), style=style),
            Text() if is_block else _way_back(line),
            Text(clean(tr(line.why))[:200], style="dim"),
        )
    return table


def _diff(line: Line) -> Text:
    text = Text(f"\n{clean(line.name)} on {clean(line.host or 'the node')}:", style="bold")
    for row in line.diff.splitlines():
        text.append("\n")
        text.append(clean(row), style={"+": "green", "-": "red", "@": "cyan"}.get(row[:1], ""))
    return text


def _way_back(line: Line) -> Text:
    if line.irreversible:
        return Text(tr("IRREVERSIBLE"), style="bold red")
    if line.undo:
        return Text(tr("undo"), style="green")
    return Text(tr("none") if line.outlook in (Outlook.change, Outlook.unknown) else "", style="dim")
