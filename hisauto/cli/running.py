"""``run``: plan, show, ask, sign, submit, watch."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import click

from hisauto.app import Planned
from hisauto.cli import completing
from hisauto.cli.language import tr
from hisauto.cli.looking import as_json
from hisauto.cli.nodes import LOG, Keeper
from hisauto.cli.options import signing
from hisauto.cli.planning import params_option, show
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say
from hisauto.cli.watching import follow
from hisauto.cli.words import GOES_ON
from hisauto.errors import Refused, UsageError

TAKEN = 15.0
"""Seconds within which a node should have taken a run that nobody watches."""


@click.command()
@click.argument("runbook", shell_complete=completing.runbooks)
@params_option
@click.option("--incident", metavar="REF", help="The incident that it is for; needs --level.")
@click.option("--level", type=click.IntRange(1, 4), metavar="N", help="The incident's fault level, 1 is the gravest.")
@click.option("--reason", default="", metavar="TEXT", help="Why; on record, and signed.")
@click.option(
    "--reported", metavar="TIME", help="When the fault was reported (RFC 3339, or HH:MM[:SS] of the last 24 h)."
)
@click.option("--yes", "-y", is_flag=True, help="Don't ask. Without a terminal it has to be said.")
@click.option("--no-watch", is_flag=True, help="Start it and come back at once.")
@signing
def run(
    session: Session,
    runbook: str,
    params: dict[str, str],
    incident: str | None,
    level: int | None,
    reason: str,
    reported: str | None,
    yes: bool,
    no_watch: bool,
) -> int:
    """Start RUNBOOK (a name, or a file) and watch it. It is planned and shown first; your key signs the request.

    Gates are answered from any terminal: hisauto approve. Ctrl-C ends the watching, not the run.

    \b
    Examples:
      hisauto run database-failover --incident INC-7 --level 1 --reason "db1 is dark" --reported 02:51
      hisauto --as operator-1 --key ~/.ssh/id_ed25519 run service-restart -p service=his --yes
    \b
    Exit codes: as the run ended (hisauto --help) · 20 it goes on (--no-watch, Ctrl-C) · 1 mistakes in the runbook,
                or not started after all · 2 no such runbook or parameter · 3 refused: a guard, or you may not
    """
    session.app.runbook(runbook)  # what is not there is said before anything else
    by = session.signer()
    reported_at = read_reported(reported, session.app.clock.now()) if reported else None
    if (incident is None) != (level is None):
        raise UsageError("an incident has a level, and a level an incident", hint="--incident REF --level 1")
    keeper = Keeper(session.app)
    keeper.look()  # a node loads while the hosts are looked at
    planned = session.app.plan(runbook, params, ahead=False)
    if not session.json:
        show(session, planned, brief=True)
    _refuse_unless_ready(planned)
    if not session.confirm(f"Run it as {by.person}?", yes):
        return 1
    view = session.app.request(planned, by, reason=reason, incident=incident, level=level, reported_at=reported_at)
    if no_watch:
        return _leave(session, view.id, keeper)
    if not session.json:
        note(tr(f"run {view.id}"))
    return follow(session, view.id, keeper)


def _refuse_unless_ready(planned: Planned) -> None:
    if not planned.ready:
        raise Refused(f"nothing was started: {'; '.join(planned.refused)}", hint="hisauto plan shows all of it")


def _leave(session: Session, run: str, keeper: Keeper) -> int:
    """Come back once a node drives it: the one that was there may just have ended for want of work."""
    deadline = time.monotonic() + TAKEN
    while session.app.store.view(run).epoch == 0:
        if not keeper.look() or time.monotonic() >= deadline:
            note(tr(f"warning: no node has taken it yet: see {session.app.site.state / LOG}"))
            break
        time.sleep(0.1)
    if session.json:
        emit(as_json(session.app.store.view(run)))
    else:
        say(run)
    return GOES_ON


def read_reported(text: str, now: datetime) -> datetime:
    """RFC 3339, or a time of day: the last one that was. Raises ``UsageError``, also for a moment to come."""
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
        parts = [int(part) for part in text.split(":")]
        local = now.astimezone()
        try:
            at = local.replace(hour=parts[0], minute=parts[1], second=parts[2] if len(parts) > 2 else 0, microsecond=0)
        except ValueError:
            raise UsageError(f"'{text}' is no time of day", hint="like 02:51 or 02:51:30") from None
        return at if at <= now else at - timedelta(days=1)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{clean(text)}' is no time", hint="like 02:51 or 2026-11-23T02:51:00+08:00") from None
    if at.tzinfo is None:
        at = at.astimezone()
    if at > now:
        raise UsageError(f"{text} is still to come", hint="a time that was: the clock here may be wrong")
    return at
