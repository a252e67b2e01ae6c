"""What a run asks, as a card: the question, what is known and what isn't, who still has to speak, and how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hisauto.cli.snapshot import Snapshot
from hisauto.cli.terminal import clean, duration
from hisauto.cli.words import age, answers, clock, fact_value, moment
from hisauto.plan.plan import walk


def card(snapshot: Snapshot, *, box: Any) -> RenderableType | None:
    """The card of what the run waits for; None if it waits for nothing that a person could say."""
    question = snapshot.view.question
    if question is None:
        return None
    match question["kind"]:
        case "gate":
            body, name = _gate(snapshot), f"GATE  {clean(question['name'])}"
        case "in_doubt":
            body, name = _doubt(snapshot), "IN DOUBT  nobody can tell whether this happened"
        case "ask":
            body, name = _ask(snapshot), "A STEP FAILED  what now?"
        case "lock":
            return _notice([f"waits for run {r}, which holds {k}" for k, r in question["for"].items()], "LOCKED", box)
        case _:
            return _notice([clean(question.get("why", "")), "it is tried again by itself"], "BROKE OFF", box)
    how = Text.assemble(("\nanswer:  ", "bold"), "\n         ".join(answers(snapshot.view)))
    return Panel(Group(body, how), title=name, title_align="left", border_style="yellow", box=box)


def _notice(lines: Sequence[str], name: str, box: Any) -> RenderableType:
    return Panel(Text("\n".join(map(clean, lines))), title=name, title_align="left", border_style="yellow", box=box)


def _gate(snapshot: Snapshot) -> RenderableType:
    question, now = snapshot.view.question or {}, snapshot.now
    parts: list[RenderableType] = [Text(clean(question["question"]), style="bold")]
    if question["facts"]:
        facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for _ in range(3):
            facts.add_column(overflow="fold")  # whoever signs it has to see all of it
        for fact in question["facts"]:
            known = fact["known"]
            value = Text(fact_value(fact["value"])) if known else Text("UNKNOWN", style="bold yellow")
            source = f"{clean(fact['source'])}, {age(fact['taken_at'], now)}" if known else clean(fact["source"])
            facts.add_row(Text(clean(fact["name"]), style="bold"), value, Text(source, style="dim"))
        parts.append(facts)
    parts.append(Text(f"plan digest {question['plan_digest']}", style="dim"))
    parts += [Text(line) for line in people(snapshot)]
    parts += [Text(f"no way back after: {line}", style="bold red") for line in no_return(snapshot)]
    parts.append(Text(_deadline(question, now)))
    return Group(*parts)


def people(snapshot: Snapshot) -> list[str]:
    """Who has spoken, and who still has to."""
    question = snapshot.view.question or {}
    said = [f"{d.person} {d.answer}" for d in snapshot.decisions if d.question == question["id"]]
    missing = [f"{count} of {role}" for role, count in (question.get("missing") or {}).items()]
    lines = [f"said: {clean(', '.join(said))}"] if said else []
    if missing:
        who = ", ".join(question.get("who") or ())
        lines.append(f"still needed: {clean(', '.join(missing))} ({clean(who)})" if who else
                     f"still needed: {clean(', '.join(missing))}, and nobody is left who may")  # fmt: skip
    return lines


def no_return(snapshot: Snapshot) -> list[str]:
    """The irreversible steps, with what they leave behind."""
    return [
        f"{clean(step.name)} ({clean(step.irreversible)})"
        for step in walk(snapshot.plan.runbook.steps)
        if step.irreversible is not None
    ]


def _deadline(question: dict[str, Any] | Any, now: datetime) -> str:
    due = moment(question["deadline"])
    if due <= now:
        return "the time to decide is over: it waits, and has been escalated"
    then = "then it is denied" if question["otherwise"] == "deny" else "then it is escalated"
    return f"decide by {clock(due)}, {duration(due - now)} left, {then}"


def _doubt(snapshot: Snapshot) -> RenderableType:
    question = snapshot.view.question or {}
    where = f" on {clean(question['host'])}" if question.get("host") else ""
    return Group(
        Text(f"{clean(question['name'])}{where}", style="bold"),
        Text(clean(question["why"])),
        Text("look yourself, then say: done (it happened), again (look first, then run it), or stop", style="dim"),
    )


def _ask(snapshot: Snapshot) -> RenderableType:
    question = snapshot.view.question or {}
    lines: list[RenderableType] = [Text(clean(question["why"]), style="bold")]
    if question.get("barred"):
        lines.append(Text("the point of no return is behind us: nothing is undone by itself", style="bold red"))
    lines.append(
        Text("again (it looks first, so a repair by hand counts), rollback, or stop (leave it so)", style="dim")
    )
    return Group(*lines)
