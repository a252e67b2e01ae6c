"""What a run asks, as a card: the question, what is known and what isn't, who still has to speak, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hisauto.cli.language import tr
from hisauto.cli.snapshot import Snapshot
from hisauto.cli.terminal import clean, duration
from hisauto.cli.words import age, answers_to, clock, fact_value, moment, word
from hisauto.plan.plan import walk

Question = Mapping[str, Any]


def cards(snapshot: Snapshot, *, box: Any) -> list[RenderableType]:
    """A card for everything that the run waits for."""
    found = [card(snapshot, question, box=box) for question in snapshot.view.questions]
    return [one for one in found if one is not None]


def card(snapshot: Snapshot, question: Question, *, box: Any) -> RenderableType | None:
    """The card of a question; None if a person could say nothing to it."""
    match question["kind"]:
        case "gate":
            body, name = _gate(snapshot, question), f"{tr('GATE')}  {clean(question['name'])}"
        case "in_doubt":
            body, name = _doubt(question), tr("IN DOUBT  nobody can tell whether this happened")
        case "ask":
            body, name = _ask(question), tr("A STEP FAILED  what now?")
        case "manual":
            body, name = _work(question), f"{tr('BY HAND')}  {clean(question['name'])}"
        case "window":
            body, name = _window(question), tr("CLOSED  the rest of it waits")
        case "lock":
            held = [tr(f"waits for run {r}, which holds {k}") for k, r in question["for"].items()]
            return _notice(held, tr("LOCKED"), box)
        case _:
            return _notice([tr(question.get("why", "")), tr("it is tried again by itself")], tr("BROKE OFF"), box)
    label = f"{tr('answer:')}  "
    indented = f"\n{' ' * cell_len(label)}".join(answers_to(snapshot.view, question))
    how = Text.assemble((f"\n{label}", "bold"), indented)
    return Panel(Group(body, how), title=name, title_align="left", border_style="yellow", box=box)


def _notice(lines: Sequence[str], name: str, box: Any) -> RenderableType:
    return Panel(Text("\n".join(map(clean, lines))), title=name, title_align="left", border_style="yellow", box=box)


def _work(question: Question) -> RenderableType:
    where = f" {tr('on')} {clean(question['host'])}" if question.get("host") else ""
    lines = [Text(f"{clean(question['do'])}{where}", style="bold"), Text(f"{tr('who')}: {clean(question['by'])}")]
    if question["evidence"]:
        lines.append(Text(tr(f"evidence: {clean(question['evidence'])}")))
    if question["expects"]:
        lines.append(Text(tr(f"then it is looked at: {clean(question['expects'])}"), style="dim"))
    return Group(*lines)


def _gate(snapshot: Snapshot, question: Question) -> RenderableType:
    now = snapshot.now
    parts: list[RenderableType] = [Text(clean(question["question"]), style="bold")]
    if question["facts"]:
        facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for _ in range(3):
            facts.add_column(overflow="fold")  # whoever signs it has to see all of it
        for fact in question["facts"]:
            known = fact["known"]
            value = Text(fact_value(fact["value"])) if known else Text(tr("UNKNOWN"), style="bold yellow")
            whence = clean(tr(fact["source"]))
            source = f"{whence}, {age(fact['taken_at'], now)}" if known else whence
            facts.add_row(Text(clean(fact["name"]), style="bold"), value, Text(source, style="dim"))
        parts.append(facts)
    if question.get("choices"):
        parts.append(Text(tr(f"choices: {clean(', '.join(question['choices']))} (all have to choose the same)")))
    parts.append(Text(tr(f"plan digest {question['plan_digest']}"), style="dim"))
    parts += [Text(line) for line in people(snapshot, question)]
    parts += [Text(tr(f"no way back after: {line}"), style="bold red") for line in no_return(snapshot)]
    parts.append(Text(_deadline(question, now)))
    return Group(*parts)


def people(snapshot: Snapshot, question: Question) -> list[str]:
    """Who has spoken, and who still has to."""
    said = [f"{d.person} {word(d.answer)}" for d in snapshot.decisions if d.question == question["id"]]
    missing = [f"{count} {tr('of')} {role}" for role, count in (question.get("missing") or {}).items()]
    lines = [tr(f"said: {clean(', '.join(said))}")] if said else []
    if missing:
        who = ", ".join(question.get("who") or ())
        needed = clean(", ".join(missing))
        lines.append(tr(f"still needed: {needed} ({clean(who)})" if who else
                        f"still needed: {needed}, and nobody is left who may"))  # fmt: skip
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
        return tr("the time to decide is over: it waits, and has been escalated")
    then = "then it is denied" if question["otherwise"] == "deny" else "then it is escalated"
    return tr(f"decide by {clock(due)}, {duration(due - now)} left, {then}")


def _doubt(question: Question) -> RenderableType:
    where = f" {tr('on')} {clean(question['host'])}" if question.get("host") else ""
    how = tr("look yourself, then say: done (it happened), again (look first, then run it), or stop")
    return Group(
        Text(f"{clean(question['name'])}{where}", style="bold"),
        Text(clean(tr(question["why"]))),
        Text(how, style="dim"),
    )


def _window(question: Question) -> RenderableType:
    return Group(
        Text(tr(f"before {clean(question['name'])}: {clean(question['why'])}"), style="bold"),
        Text(tr("what had begun is settled; it goes on by itself when it opens, and holds its locks until then")),
        Text(tr("go_on (for the rest of this run), rollback, or stop (leave it so)"), style="dim"),
    )


def _ask(question: Question) -> RenderableType:
    lines: list[RenderableType] = [Text(clean(tr(question["why"])), style="bold")]
    if question.get("barred"):
        lines.append(Text(tr("the point of no return is behind us: nothing is undone by itself"), style="bold red"))
    how = tr("again (it looks first, so a repair by hand counts), rollback, or stop (leave it so)")
    lines.append(Text(how, style="dim"))
    return Group(*lines)
