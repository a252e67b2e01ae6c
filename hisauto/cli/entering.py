"""``enter`` and ``entered``: what was done on paper, while hisauto was down."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hisauto.cli import completing
from hisauto.cli.language import tr
from hisauto.cli.options import reading, signing
from hisauto.cli.planning import params_option
from hisauto.cli.running import read_reported
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say
from hisauto.clock import stamp
from hisauto.entered import RESULTS, Entered
from hisauto.entered import enter as keep
from hisauto.entered import entered as kept
from hisauto.errors import UsageError

LARGEST = 50 << 20
"""Bytes of a scanned paper."""


@click.command()
@click.argument("runbook", shell_complete=completing.runbooks)
@click.argument("result", metavar="|".join(RESULTS), type=click.Choice(RESULTS))
@params_option
@click.option("--began", required=True, metavar="TIME", help="When the work began (RFC 3339, or HH:MM[:SS]).")
@click.option("--ended", required=True, metavar="TIME", help="When it ended.")
@click.option("--who", "people", multiple=True, metavar="NAME", help="Who did it, where it was not you; repeatable.")
@click.option("--paper", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="The sheet, scanned: its SHA-256 is kept, so keep the file.")  # fmt: skip
@click.option("--incident", metavar="REF", help="The incident that it was for; needs --level.")
@click.option("--level", type=click.IntRange(1, 4), metavar="N", help="The incident's fault level, 1 is the gravest.")
@click.option("--reason", required=True, metavar="TEXT", help="What was done, and why by hand; on record, and signed.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask. Without a terminal it has to be said.")
@signing
def enter(
    session: Session,
    runbook: str,
    result: str,
    params: dict[str, str],
    began: str,
    ended: str,
    people: tuple[str, ...],
    paper: Path | None,
    incident: str | None,
    level: int | None,
    reason: str,
    yes: bool,
) -> int:
    """Enter afterwards what was done by RUNBOOK's paper (plan --manual) while hisauto was down. It is your signed word
    in the log, and counts as no run: nothing of it is proven, and no promise is measured by it.

    \b
    Examples:
      hisauto enter database-failover done --began 02:51 --ended 03:20 --who dba-2 --paper sheet.pdf \\
        --incident INC-7 --level 1 --reason "the node had no power; typed from the paper, db2 serves"
    \b
    Exit codes: 0 entered · 1 not entered after all · 2 no such runbook, parameter or time · 3 you may not
    """
    if (incident is None) != (level is None):
        raise UsageError("an incident has a level, and a level an incident", hint="--incident REF --level 1")
    if paper is not None and paper.stat().st_size > LARGEST:
        raise UsageError(f"{paper} is larger than {LARGEST >> 20} MiB")
    by, now = session.signer(), session.app.clock.now()
    times = read_reported(began, now), read_reported(ended, now)
    if not session.confirm(f"Enter {runbook} as {result}, by hand, as {by.person}?", yes):
        return 1
    made = keep(session.app, runbook, params, began=times[0], ended=times[1], people=people or (by.person,),
                result=result, reason=reason, paper=paper.read_bytes() if paper else None, incident=incident,
                level=level, by=by)  # fmt: skip
    if session.json:
        emit(_as_json(made))
    else:
        say(tr(f"{made.card.run} is in the log, as {by.person} says it"))
    return 0


@click.command()
@reading
def entered(session: Session) -> int:
    """What was done by hand and entered afterwards, with who says so. None of it is proven.

    \b
    Examples:
      hisauto entered
      hisauto entered --json
    \b
    Exit codes: 0 · 4 a signature doesn't hold
    """
    found = list(kept(session.app))
    if session.json:
        emit([_as_json(one) for one in found])
    elif not found:
        note(tr("nothing was entered by hand"))
    else:
        session.console.print(_table(found))
        for one in found:
            if one.void:
                note(tr(f"{one.card.run} is void: {one.void}"))
        note(tr("said by people, and not proven"))
    return 4 if any(one.void for one in found) else 0


def _table(found: list[Entered]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("ENTRY", "RUNBOOK", "RESULT", "BEGAN", "ENDED", "WHO", "ENTERED BY", "INCIDENT", "REASON"):
        table.add_column(tr(name))
    for one in found:
        card = one.card
        by = Text(clean(card.person)) if not one.void else Text(tr("void"), style="bold red")
        table.add_row(
            Text(clean(card.run), style="bold"), clean(f"{one.fact('runbook')} {one.fact('version')}"),
            tr(card.answer or ""), _local(one.fact("began")), _local(one.fact("ended")),
            clean(", ".join(map(str, one.fact("people") or ()))), by, clean(card.incident or ""),
            clean(card.reason or ""),
        )  # fmt: skip
    return table


def _local(moment: Any) -> str:
    """``enter`` wrote it; what was forged is shown as it is."""
    try:
        return datetime.fromisoformat(str(moment)).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return clean(str(moment))


def _as_json(one: Entered) -> dict[str, Any]:
    card = one.card
    return {
        "id": card.run, **{fact.name: fact.value for fact in card.facts}, "digest": card.plan_digest,
        "result": card.answer, "incident": card.incident, "level": card.level, "reason": card.reason,
        "entered_by": card.person, "entered_at": stamp(one.at), "proven": False, "void": one.void or None,
    }  # fmt: skip
