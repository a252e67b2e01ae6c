"""``reviews`` and ``review``: what broken glasses have left to be looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hisauto.cli import completing
from hisauto.cli.language import tr
from hisauto.cli.options import reading, signing
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say
from hisauto.clock import stamp
from hisauto.errors import NotFound, UsageError
from hisauto.reviews import FINDINGS, Review
from hisauto.reviews import reviews as found_reviews
from hisauto.reviews import say as say_finding

STYLES = {"overdue": "bold red", "due": "yellow", "done": "green"}


@click.command()
@click.option("--all", "with_done", is_flag=True, help="Those that are done, too.")
@reading
def reviews(session: Session, with_done: bool) -> int:
    """The reviews that are due because somebody broke the glass, the longest due first.

    \b
    Examples:
      hisauto reviews
      hisauto reviews --all --json
    \b
    Exit codes: 0 none is overdue · 3 one is
    """
    now = session.app.clock.now()
    found = [one for one in found_reviews(session.app) if with_done or not one.done]
    if session.json:
        emit([_as_json(one, one.state(now)) for one in found])
    elif not found:
        note(tr("no review is due"))
    else:
        session.console.print(_table(found, now))
    return 3 if any(one.state(now) == "overdue" for one in found) else 0


def _table(found: list[Review], now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("RUN", "GATE", "STATE", "DUE BY", "BROKEN BY", "INCIDENT", "FOUND"):
        table.add_column(tr(name))
    for one in found:
        said = ", ".join(f"{row.person}: {row.answer}" for row in one.said)
        state = one.state(now)
        table.add_row(
            Text(one.run.id, style="bold"), clean(one.gate), Text(tr(state), style=STYLES[state]),
            one.due.astimezone().strftime("%Y-%m-%d %H:%M"), clean(one.broke), clean(one.run.incident or ""),
            clean(f"{len(one.said)}/{one.people} {said}".strip()),
        )  # fmt: skip
    return table


@click.command()
@click.argument("run", shell_complete=completing.runs)
@click.argument("finding", metavar="|".join(FINDINGS), type=click.Choice(FINDINGS))
@click.option("--gate", metavar="GATE", help="Its path, where the run has several reviews.")
@click.option("--reason", required=True, metavar="TEXT", help="What you found; on record, and signed.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask. Without a terminal it has to be said.")
@signing
def review(session: Session, run: str, finding: str, gate: str | None, reason: str, yes: bool) -> int:
    """Say what you found when you reviewed that somebody broke the glass in RUN. It takes two, neither of them the
    one who did it nor the one who asked for the run; each word is signed.

    \b
    Examples:
      hisauto review k7f2 justified --reason "the wards were waiting, and the duty manager was in theatre"
    \b
    Exit codes: 0 said · 1 not said after all · 2 no such run or review · 3 you may not
    """
    view = session.app.store.find_run(run)
    found = [one for one in found_reviews(session.app, view.id) if gate is None or gate in (one.gate, one.question)]
    if not found:
        raise NotFound(f"no review is due of run {view.id}", hint="hisauto reviews --all")
    if len(found) > 1:
        known = ", ".join(clean(one.gate) for one in found)
        raise UsageError(f"run {view.id} has several reviews: {known}", hint="--gate GATE")
    by = session.signer()
    if not session.confirm(f"Say '{finding}' of {found[0].broke} as {by.person}?", yes):
        return 1
    fresh = say_finding(session.app, found[0], finding, by, reason)
    if session.json:
        (now_found,) = [one for one in found_reviews(session.app, view.id) if one.gate == found[0].gate]
        emit({"fresh": fresh, **_as_json(now_found, now_found.state(session.app.clock.now()))})
    else:
        say(tr(f"{by.person} said {finding} to {view.id}" if fresh else f"{by.person} had said {finding} already"))
    return 0


def _as_json(one: Review, state: str) -> dict[str, Any]:
    said = [{"person": d.person, "finding": d.answer, "reason": d.reason, "at": stamp(d.at)} for d in one.said]
    return {
        "run": one.run.id, "gate": one.gate, "broke_glass": one.broke, "incident": one.run.incident, "state": state,
        "due": stamp(one.due), "people": one.people, "said": said,
        "void": [{"person": person, "why": why} for person, why in one.void],
    }  # fmt: skip
