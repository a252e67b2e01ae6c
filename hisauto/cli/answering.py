"""What people say to a run: ``approve``, ``reject``, ``decide``, ``cancel``. Each is shown before it is signed."""

from __future__ import annotations

from typing import Any

import click
from rich import box as boxes

from hisauto.cli.gatecard import card
from hisauto.cli.looking import as_json
from hisauto.cli.nodes import ensure_node
from hisauto.cli.options import signing
from hisauto.cli.session import Session
from hisauto.cli.snapshot import Follower, Snapshot
from hisauto.cli.terminal import clean, emit, say, unicode
from hisauto.cli.words import incident
from hisauto.errors import NotFound, UsageError
from hisauto.model.run import RunView

yes_option = click.option("--yes", "-y", is_flag=True, help="Don't ask. Without a terminal it has to be said.")


@click.command()
@click.argument("run", required=False)
@click.argument("gate", required=False)
@click.option("--answer", metavar="X", help="The choice, at a gate that offers several.")
@click.option("--break-glass", is_flag=True, help="Go now, alone: level 1, where the gate allows it; needs --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why; on record, and signed.")
@yes_option
@signing
def approve(
    session: Session, run: str | None, gate: str | None, answer: str | None, break_glass: bool, reason: str, yes: bool
) -> int:
    """Say yes at the gate where RUN waits. The question, the facts with their age and the plan's digest are shown
    first; what you saw is what your key signs.

    RUN is an id, or its beginning or end; nothing or `-` is the only run that asks something.
    GATE is for scripts: if the run waits at another one, nothing is said.

    \b
    Examples:
      hisauto approve
      hisauto --as dba-1 --key ~/.ssh/id_ed25519 approve k7f2
      hisauto approve k7f2 --break-glass --reason "the duty manager can't be reached"
    \b
    Exit codes: 0 said · 1 not said after all · 2 no such run or gate · 3 you may not
    """
    if break_glass and not reason:
        raise UsageError("who breaks the glass says why", hint="--reason TEXT; two others review it within 24 h")
    return _at_gate(session, run, gate, answer or "yes", reason, yes, break_glass)


@click.command()
@click.argument("run", required=False)
@click.argument("gate", required=False)
@click.option("--reason", required=True, metavar="TEXT", help="Why; on record, and signed.")
@yes_option
@signing
def reject(session: Session, run: str | None, gate: str | None, reason: str, yes: bool) -> int:
    """Say no at the gate where RUN waits. One no of a person who may is enough.

    \b
    Examples:
      hisauto reject k7f2 --reason "db1 is back"
    \b
    Exit codes: 0 said · 1 not said after all · 2 no such run or gate · 3 you may not
    """
    return _at_gate(session, run, gate, "no", reason, yes)


def _at_gate(
    session: Session, run: str | None, gate: str | None, answer: str, reason: str, yes: bool, break_glass: bool = False
) -> int:
    view = session.run(run, waiting=True)
    by = session.signer()
    snapshot = Follower(session.app, view.id).snapshot()
    question = _question(snapshot.view, "gate")
    known = (question["id"], question["id"].removeprefix("gate:"), question["name"])
    if gate is not None and gate not in known:
        raise NotFound(f"run {view.id} does not wait at {clean(gate)}", hint=f"it waits at {clean(question['name'])}")
    _show(session, snapshot)
    deed = "no" if answer == "no" else "yes, alone, by breaking the glass" if break_glass else answer
    if not session.confirm(f"Say {deed} as {by.person}?", yes):
        return 1
    fresh = session.app.answer(snapshot.view, question, answer, by, reason=reason, break_glass=break_glass)
    return _said(session, view.id, by.person, answer, fresh)


@click.command()
@click.argument("run")
@click.argument("step")
@click.argument("answer", metavar="done|again|rollback|stop", type=click.Choice(["done", "again", "rollback", "stop"]))
@click.option("--reason", default="", metavar="TEXT", help="Why; on record, and signed.")
@yes_option
@signing
def decide(session: Session, run: str, step: str, answer: str, reason: str, yes: bool) -> int:
    """Decide on STEP of RUN, where nobody can tell whether it happened, or where it failed.

    \b
      done      it happened: you have looked (in doubt only)
      again     once more; it looks first
      rollback  undo what can be undone (a failed step only)
      stop      leave all as it is, and end
    \b
    Examples:
      hisauto decide k7f2 '3[db1]#1' done --reason "pg_controldata says in production"
      hisauto decide - 4#1 again
    \b
    Exit codes: 0 said · 1 not said after all · 2 no such run, step or answer · 3 you may not
    """
    view = session.run(run, waiting=True)
    by = session.signer()
    snapshot = Follower(session.app, view.id).snapshot()
    question = _question(snapshot.view, "in_doubt", "ask")
    if step not in (question["step"], question["step"].partition("#")[0]):
        raise NotFound(
            f"run {view.id} does not ask about {clean(step)}", hint=f"it asks about {clean(question['step'])}"
        )
    _show(session, snapshot)
    if not session.confirm(f"Decide '{answer}' as {by.person}?", yes):
        return 1
    fresh = session.app.answer(snapshot.view, question, answer, by, reason=reason)
    return _said(session, view.id, by.person, answer, fresh)


@click.command()
@click.argument("run")
@click.option("--reason", required=True, metavar="TEXT", help="Why; on record, and signed.")
@yes_option
@signing
def cancel(session: Session, run: str, reason: str, yes: bool) -> int:
    """Stop RUN. What is at work is ended where that may be; what can be undone is undone. A cancel doesn't stop a
    rollback; two people's do, and then the rest is left to do by hand.

    \b
    Examples:
      hisauto cancel k7f2 --reason "wrong cluster"
    \b
    Exit codes: 0 said · 1 not said after all · 2 no such run · 3 you may not, or it has ended
    """
    view = session.run(run)
    by = session.signer()
    if not session.confirm(f"Cancel {view.id} ({view.runbook}, {incident(view)}) as {by.person}?", yes):
        return 1
    fresh = session.app.cancel(view, by, reason)
    return _said(session, view.id, by.person, "cancel", fresh)


def _question(view: RunView, *kinds: str) -> dict[str, Any]:
    """What the run waits for, if it is of this kind. Raises ``UsageError``."""
    asked = dict(view.question or {})
    if asked.get("kind") in kinds:
        return asked
    if view.state.ended:
        raise UsageError(f"run {view.id} has ended: {view.state}")
    hint = {"gate": "hisauto approve", "in_doubt": "hisauto decide", "ask": "hisauto decide"}.get(asked.get("kind", ""))
    what = "at a gate" if "gate" in kinds else "for a decision"
    raise UsageError(f"run {view.id} does not wait {what}: {view.state}", hint=hint or f"hisauto show {view.id}")


def _show(session: Session, snapshot: Snapshot) -> None:
    shown = card(snapshot, box=boxes.ROUNDED if unicode() else boxes.ASCII)
    if shown is not None and not session.json:
        session.console.print(shown)


def _said(session: Session, run: str, person: str, answer: str, fresh: bool) -> int:
    ensure_node(session.app)
    if session.json:
        emit({"person": person, "answer": answer, "fresh": fresh, "run": as_json(session.app.store.view(run))})
    else:
        say(f"{person} said {answer} to {run}" if fresh else f"{person} had said {answer} already")
    return 0
