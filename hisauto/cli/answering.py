"""What people say to a run: ``approve``, ``reject``, ``decide``, ``cancel``. Each is shown before it is signed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click
from rich import box as boxes

from hisauto.cli import completing
from hisauto.cli.gatecard import card
from hisauto.cli.language import tr
from hisauto.cli.looking import as_json
from hisauto.cli.nodes import ensure_node
from hisauto.cli.options import signing
from hisauto.cli.session import MOMENT, Session
from hisauto.cli.snapshot import Follower, Snapshot
from hisauto.cli.terminal import clean, emit, say, unicode
from hisauto.cli.words import incident
from hisauto.errors import NotFound, UsageError
from hisauto.model.run import RunView

ANSWERS = ("done", "failed", "again", "go_on", "rollback", "stop")
yes_option = click.option("--yes", "-y", is_flag=True, help="Don't ask. Without a terminal it has to be said.")

DECIDED = ("in_doubt", "ask", "manual", "window")
"""The kinds of question that `decide` answers."""


@click.command()
@click.argument("run", required=False, shell_complete=completing.runs)
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
@click.argument("run", required=False, shell_complete=completing.runs)
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
    snapshot = _as_it_waits(session, view.id)
    question = _question(snapshot.view, gate, "gate")
    _show(session, snapshot, question)
    deed = "no" if answer == "no" else "yes, alone, by breaking the glass" if break_glass else answer
    if not session.confirm(f"Say {deed} as {by.person}?", yes):
        return 1
    fresh = session.app.answer(snapshot.view, question, answer, by, reason=reason, break_glass=break_glass)
    return _said(session, view.id, by.person, answer, fresh)


@click.command()
@click.argument("run", shell_complete=completing.runs)
@click.argument("step", shell_complete=completing.steps)
@click.argument("answer", metavar="|".join(ANSWERS), type=click.Choice(ANSWERS))
@click.option("--evidence", default="", metavar="TEXT", help="What shows that your work is done; signed.")
@click.option("--reason", default="", metavar="TEXT", help="Why; on record, and signed.")
@yes_option
@signing
def decide(session: Session, run: str, step: str, answer: str, evidence: str, reason: str, yes: bool) -> int:
    """Decide on STEP of RUN, where nobody can tell whether it happened, where it failed, where it is your work,
    or where its window has closed.

    \b
      done      it happened: you have looked (in doubt), or you have done it
      failed    it could not be done (your work only)
      again     once more; it looks first
      go_on     outside of the window, for the rest of the run (a closed window only)
      rollback  undo what can be undone (a failed step or a closed window only)
      stop      leave all as it is, and end
    \b
    Examples:
      hisauto decide k7f2 '3[db1]#1' done --reason "pg_controldata says in production"
      hisauto decide k7f2 '5#1' done --evidence "the lamp is red"
      hisauto decide - 4#1 again
    \b
    Exit codes: 0 said · 1 not said after all · 2 no such run, step or answer · 3 you may not
    """
    view = session.run(run, waiting=True)
    by = session.signer()
    snapshot = _as_it_waits(session, view.id)
    question = _question(snapshot.view, step, *DECIDED)
    _show(session, snapshot, question)
    if not session.confirm(f"Decide '{answer}' as {by.person}?", yes):
        return 1
    fresh = session.app.answer(snapshot.view, question, answer, by, reason=reason, evidence=evidence)
    return _said(session, view.id, by.person, answer, fresh)


@click.command()
@click.argument("run", shell_complete=completing.runs)
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


def _question(view: RunView, wanted: str | None, *kinds: str) -> dict[str, Any]:
    """What the run waits for, if it is of this kind and the one that is meant. Raises ``UsageError``, ``NotFound``."""
    asked = [dict(question) for question in view.questions if question.get("kind") in kinds]
    if not asked:
        raise _nothing(view, "at a gate" if "gate" in kinds else "for a decision")
    found = [question for question in asked if wanted is None or wanted in _names(question)]
    known = ", ".join(clean(_names(question)[0]) for question in asked)
    if not found:
        meant = clean(wanted)
        if "gate" in kinds:
            raise NotFound(f"run {view.id} does not wait at {meant}", hint=f"it waits at {known}")
        raise NotFound(f"run {view.id} does not ask about {meant}", hint=f"it asks about {known}")
    if len(found) > 1:
        raise UsageError(f"run {view.id} asks several things at a time: {known}", hint="name the one that you mean")
    return found[0]


def _as_it_waits(session: Session, run: str) -> Snapshot:
    """The run as it stands. One that is reading another person's answer waits again in a moment: it is given that."""
    deadline = time.monotonic() + MOMENT
    while True:
        snapshot = Follower(session.app, run).snapshot()
        if snapshot.view.questions or snapshot.view.state.ended or time.monotonic() >= deadline:
            return snapshot
        time.sleep(0.1)


def _names(question: Mapping[str, Any]) -> tuple[str, ...]:
    """By what a question can be named: its path first."""
    if question["kind"] == "gate":
        return question["id"].removeprefix("gate:"), question["id"], question["name"]
    return question["step"], question["step"].partition("#")[0]


def _nothing(view: RunView, what: str) -> UsageError:
    if view.state.ended:
        return UsageError(f"run {view.id} has ended: {view.state}")
    kind = (view.question or {}).get("kind", "")
    hints = {"gate": "hisauto approve", **dict.fromkeys(DECIDED, "hisauto decide")}
    hint = hints.get(kind, f"hisauto show {view.id}")
    return UsageError(f"run {view.id} does not wait {what}: {view.state}", hint=hint)


def _show(session: Session, snapshot: Snapshot, question: Mapping[str, Any]) -> None:
    shown = card(snapshot, question, box=boxes.ROUNDED if unicode() else boxes.ASCII)
    if shown is not None and not session.json:
        session.console.print(shown)


def _said(session: Session, run: str, person: str, answer: str, fresh: bool) -> int:
    ensure_node(session.app)
    if session.json:
        emit({"person": person, "answer": answer, "fresh": fresh, "run": as_json(session.app.store.view(run))})
    else:
        say(tr(f"{person} said {answer} to {run}" if fresh else f"{person} had said {answer} already"))
    return 0
