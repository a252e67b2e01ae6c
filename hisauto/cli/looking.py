"""``runs``, ``show``, ``watch``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hisauto.cli import completing
from hisauto.cli.language import tr
from hisauto.cli.options import reading
from hisauto.cli.screen import screen
from hisauto.cli.session import Session
from hisauto.cli.snapshot import Follower, Snapshot
from hisauto.cli.terminal import clean, duration, emit, note, unicode
from hisauto.cli.watching import follow
from hisauto.cli.words import RUN_STYLES, answers, exit_code, incident, word
from hisauto.model.run import RunState, RunView

OPEN = tuple(state for state in RunState if not state.ended)


@click.command()
@click.argument("runbook", required=False, shell_complete=completing.runbooks)
@click.option("--open", "only_open", is_flag=True, help="Only those that have not ended.")
@click.option("--state", type=click.Choice([s.value for s in RunState]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="At most so many.")
@reading
def runs(session: Session, runbook: str | None, only_open: bool, state: str | None, limit: int) -> None:
    """What ran and what runs, the newest first; of RUNBOOK, or of all.

    \b
    Examples:
      hisauto runs --open
      hisauto runs database-failover --limit 5 --json
    \b
    Exit codes: 0
    """
    states = (RunState(state),) if state else OPEN if only_open else None
    found = session.app.store.runs(states=states, runbook=runbook, limit=limit)
    if session.json:
        emit([as_json(view) for view in found])
    elif not found:
        note(tr("no run"))
    else:
        session.console.print(_table(session, found))


def _table(session: Session, found: list[RunView]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("RUN", "RUNBOOK", "STATE", "ASKED FOR", "BY", "TOOK", "INCIDENT", "WAITS FOR / WHY"):
        table.add_column(tr(name), no_wrap=name in ("RUN", "STATE", "ASKED FOR"))
    now = session.app.clock.now()
    for view in found:
        question = view.question or {}
        asked = next((question[key] for key in ("question", "do", "why", "kind") if question.get(key)), "")
        more = f" (and {len(view.questions) - 1} more)" if len(view.questions) > 1 else ""
        why = f"{asked}{more}" or view.summary.get("why") or ""
        table.add_row(
            Text(view.id, style="bold"), f"{view.runbook} {view.version}",
            Text(word(view.state.value), style=RUN_STYLES.get(view.state, "")),
            view.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"), Text(clean(view.requester)),
            duration((view.ended_at or now) - view.created_at), incident(view) if view.incident else "",
            Text(clean(tr(why))[:120], style="dim"),
        )  # fmt: skip
    return table


@click.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@reading
def show(session: Session, run: str | None) -> int:
    """One run as it stands: state, steps, what is at work, what it waits for and how to answer, what is left to do.

    RUN is an id, or its beginning or end; nothing or `-` is the only open run, or the last one if none is open.

    \b
    Examples:
      hisauto show k7f2
      hisauto show r-20261123-k7f2 --json
    \b
    Exit codes: as the run ended (hisauto --help) · 20 it has not ended · 2 no such run
    """
    view = session.run(run, or_last=True)
    snapshot = Follower(session.app, view.id).snapshot()
    if session.json:
        emit(_whole(snapshot))
    else:
        session.console.print(screen(snapshot, unicode=unicode()))
    return exit_code(snapshot.view.state)


@click.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@reading
def watch(session: Session, run: str | None) -> int:
    """One run, live, until it ends. On a terminal a screen; elsewhere a line for each event; with --json, JSON lines.

    RUN is an id, or its beginning or end; nothing or `-` is the only open run. Ctrl-C ends the watching, not the run.

    \b
    Examples:
      hisauto watch
      hisauto watch k7f2 | tee -a run.log
      hisauto watch k7f2 --json | jq -r .kind
    \b
    Exit codes: as the run ended (hisauto --help) · 20 Ctrl-C: it goes on · 2 no such run
    """
    return follow(session, session.run(run).id)


def as_json(view: RunView) -> dict[str, Any]:
    """A run for machines."""
    return {**asdict(view), "state": view.state.value, "answers": answers(view)}


def _whole(snapshot: Snapshot) -> dict[str, Any]:
    return {
        **as_json(snapshot.view),
        "attempts": [{**asdict(a), "id": a.id, "state": a.state.value} for a in snapshot.attempts],
        "decisions": [asdict(decision) for decision in snapshot.decisions],
        "hosts": {name: list(hosts) for name, hosts in snapshot.plan.hosts.items()},
        "params": snapshot.plan.params,
    }
