"""The screen of a run, for an engineer at three in the morning: a pure function of what is on record.

Everything is said in words as well as in colour; it is readable in monochrome, in ASCII, and 80 columns wide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rich import box as boxes
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hisauto.cli import tree
from hisauto.cli.gatecard import cards
from hisauto.cli.language import tr
from hisauto.cli.snapshot import Snapshot
from hisauto.cli.terminal import clean, duration
from hisauto.cli.words import RUN_STYLES, STYLES, SYMBOLS, clock, command_line, incident, title, word
from hisauto.model.run import Attempt, AttemptState, RunState
from hisauto.plan.places import place, static
from hisauto.runbook.documents import Step

MANY = 8
"""Units of one step that are shown one by one; of more, those that need a look, and the others' number."""
OUTPUT = 6
"""Lines of live output that are shown."""


def screen(snapshot: Snapshot, *, unicode: bool = True, follow: str | None = None) -> RenderableType:
    """All of it. ``follow``: the command by which somebody else can watch."""
    box = boxes.ROUNDED if unicode else boxes.ASCII
    if snapshot.view.state.ended:
        return Group(_header(snapshot, box), _steps(snapshot, unicode), _end(snapshot, box))
    # What matters now comes first: a terminal may be too low for all steps.
    parts = [_header(snapshot, box), *_now(snapshot, box), *cards(snapshot, box=box), _steps(snapshot, unicode)]
    if follow:
        parts.append(Text(tr(f"it goes on without this screen: {follow}"), style="dim"))
    return Group(*(part for part in parts if part is not None))


def _header(snapshot: Snapshot, box: boxes.Box) -> RenderableType:
    view, runbook = snapshot.view, snapshot.plan.runbook
    until = view.ended_at or snapshot.now
    state = word(view.state.value)
    since = tr(f"{duration(until - view.reported_at)} since {clock(view.reported_at)}")
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(
        Text(f"{view.runbook} {view.version}", style="bold"), Text(title(runbook.title)), Text(""),
    )  # fmt: skip
    grid.add_row(Text(view.id), Text(f"{incident(view)}   {tr(f'asked for by {clean(view.requester)}')}"), Text(""))
    grid.add_row(
        Text(state.upper(), style=RUN_STYLES.get(view.state, "bold")),
        Text(f"{since}   {_rto(snapshot)}"),
        Text(""),
    )
    grid.add_row(Text(tr("data loss")), Text(_rpo(snapshot)), Text(""))
    if view.reason:
        grid.add_row(Text(tr("reason")), Text(clean(view.reason)), Text(""))
    return Panel(grid, box=box, border_style=RUN_STYLES.get(view.state, "cyan"))


def _rto(snapshot: Snapshot) -> str:
    view, promised = snapshot.view, snapshot.plan.runbook.objectives.rto
    if view.state.ended:
        measured = (view.summary.get("rto") or {}).get("measured")
        got = duration(measured) if measured is not None else "not reached"
        return tr(f"RTO {got}" + (f", promised {duration(promised)}" if promised is not None else ""))
    if promised is None:
        return tr("no RTO promised")
    left = promised - (snapshot.now - view.reported_at).total_seconds()
    kept = f"RTO {duration(left)} left of {duration(promised)}"
    return tr(kept if left >= 0 else f"RTO MISSED by {duration(-left)}")


def _rpo(snapshot: Snapshot) -> str:
    promised = snapshot.plan.runbook.objectives.rpo
    suffix = f", promised at most {duration(promised)}" if promised is not None else ""
    found = [
        known["measured"]["rpo"]
        for n, _ in enumerate(snapshot.plan.runbook.verify, 1)
        if (known := snapshot.memo(f"verify:{n}")) is not None and "rpo" in known["measured"]
    ]
    if not found:
        return tr(("not measured" if snapshot.view.state.ended else "not measured yet") + suffix)
    return tr(("unknown" if None in found else duration(max(found))) + suffix)


def _steps(snapshot: Snapshot, unicode: bool) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=3, overflow="fold")
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=3, overflow="fold")
    latest = tree.checks(snapshot, tree.latest_guards(snapshot))
    shown = [r for r in latest if r.state != "holds"]
    if latest and not shown:
        table.add_row(
            *_cells(
                tree.Row("guards", 0, tr(f"all {len(latest)} guards" if len(latest) > 1 else "the guard"), "", "holds"),
                snapshot,
                unicode,
            )
        )
    for row in shown:
        table.add_row(*_cells(row, snapshot, unicode))
    for row in (*_compact(tree.rows(snapshot)), *tree.proofs(snapshot), *tree.always(snapshot)):
        table.add_row(*_cells(row, snapshot, unicode))
    return table


def _compact(rows: Sequence[tree.Row]) -> list[tree.Row]:
    """Many units of one step: those in good order become a number."""
    groups: dict[tuple[str, int], list[tree.Row]] = {}
    for row in rows:
        groups.setdefault((_without_unit(row.path), row.depth), []).append(row)
    found: list[tree.Row] = []
    said: set[tuple[str, int]] = set()
    for row in rows:
        key = (_without_unit(row.path), row.depth)
        units = groups[key]
        quiet = row.state not in (tree.RUNNING, tree.WAITING, *tree.BAD)
        if len(units) <= MANY or not quiet:
            found.append(row)
        if len(units) > MANY and key not in said:
            said.add(key)
            counts = Counter(unit.state for unit in units)
            words = ", ".join(f"{count} {word(state)}" for state, count in counts.items())
            order = (*tree.BAD, tree.RUNNING, tree.WAITING, tree.PENDING)
            state = next((s for s in order if s in counts), units[0].state)
            found.append(tree.Row(row.path, row.depth, row.name, _of(row, len(units)), state, words))
    return found


def _of(row: tree.Row, units: int) -> str:
    """How many units a row's step has, and what they are."""
    return tr(f"{units} items" if re.search(r"\[\d+\]$", row.path) else f"{units} hosts")


def _without_unit(path: str) -> str:
    return static(path)


def _cells(row: tree.Row, snapshot: Snapshot, unicode: bool) -> list[Text]:
    symbol = SYMBOLS.get(row.state, ("?", "?"))[0 if unicode else 1]
    style = STYLES.get(row.state, "")
    name = "  " * row.depth + clean(row.name) + (tr(f" (try {row.tries})") if row.tries > 1 else "")
    until = row.ended or (snapshot.now if row.state in (tree.RUNNING, tree.WAITING) else None)
    took = duration(until - row.began) if row.began and until and row.state not in ("already", "skipped") else ""
    return [
        Text(f"{symbol} {word(row.state)}", style=style),
        Text(name, style="dim" if row.state in (tree.PENDING, "skipped") else ""),
        Text(clean(row.where), style="dim"),
        Text(took),
        Text(_short(row.why), style="dim"),
    ]


def _short(why: str, limit: int = 100) -> str:
    text = clean(why)
    return text if len(text) <= limit else text[:limit] + "..."


def _now(snapshot: Snapshot, box: boxes.Box) -> list[RenderableType]:
    """What is at work at this moment, at most three of them."""
    running = [a for a in snapshot.attempts if a.state is AttemptState.started and "manual" not in a.intent]
    panels: list[RenderableType] = [_at_work(snapshot, attempt, box) for attempt in running[:3]]
    if len(running) > 3:
        panels.append(Text(tr(f"and {len(running) - 3} more at work")))
    if not running and (looks := _looks(snapshot)):
        panels.append(Text(f"{tr('NOW')}  {looks}", style="cyan"))
    return panels


def _looks(snapshot: Snapshot) -> str:
    """What it does while nothing is at work that could change anything."""
    match snapshot.view.state:
        case RunState.queued:
            return tr("waits for a node to take it")
        case RunState.guarding:
            return tr(f"looks who is who, and takes {len(snapshot.plan.runbook.guards)} guards")
        case RunState.running:
            ahead = next((row.name for row in tree.rows(snapshot) if row.state == tree.PENDING), "")
            return tr(f"looks before it acts: {clean(ahead)}") if ahead else ""
        case RunState.verifying:
            return tr("looks for the proof that the service is back")
        case RunState.rolling_back:
            return tr("goes back: undoes what is owed")
        case _:
            return ""


def _at_work(snapshot: Snapshot, attempt: Attempt, box: boxes.Box) -> RenderableType:
    undoing = "!undo" in attempt.path
    found = place(snapshot.plan.runbook.steps, attempt.path)
    step = found.step if found is not None else None
    lines: list[RenderableType] = []
    action = attempt.intent.get("action")
    if step is not None and step.no_log:
        lines.append(Text(tr("the command is not shown: no_log"), style="dim"))
    elif action is not None:
        lines.append(Text(command_line(action), style="bold"))
    elif step is not None and step.action is not None:
        lines.append(Text(command_line(step.action.model_dump()), style="bold"))
    if step is not None:
        lines.append(Text(_expected(step)))
    lines.append(_way_back(attempt, undoing))
    tail = [clean(line) for line in snapshot.tail.get(attempt.id, ())][-OUTPUT:]
    if tail:
        shown = "\n".join(f"| {line[:200]}" for line in tail)
        lines.append(Text(shown, style="dim", no_wrap=True, overflow="crop"))
    where = clean(attempt.host) if attempt.host else tr("the node")
    took = duration(snapshot.now - attempt.started_at) if attempt.started_at else ""
    name = f"{tr('NOW')}  {clean(attempt.name)}  {tr('on')} {where}  {took}"
    return Panel(Group(*lines), title=name, title_align="left", box=box, border_style="cyan")


def _expected(step: Step) -> str:
    done = step.done_when
    parts = [tr(f"time-out {duration(step.timeout)}" if step.interrupt != "never" else "is not interrupted")]
    if done is not None:
        parts.append(tr(f"expects: {clean(done.expect or done.name or 'its done_when')}"))
    elif step.expect is not None:
        parts.append(tr(f"expects: {clean(step.expect)}"))
    within = (done.within if done is not None else None) or step.within
    if within:
        parts.append(tr(f"within {duration(within)}"))
    return "   ".join(parts)


def _way_back(attempt: Attempt, undoing: bool) -> Text:
    if undoing:
        return Text(tr("this is the way back"), style="magenta")
    if attempt.intent.get("look"):
        return Text(tr("only looks: changes nothing"), style="dim")
    if reason := attempt.intent.get("irreversible"):
        return Text(tr(f"IRREVERSIBLE: {clean(reason)}"), style="bold red")
    if undo := attempt.intent.get("undo"):
        return Text(tr(f"reversible by {command_line(undo['action'], 120)}"), style="green")
    return Text(tr("has no undo: what it does stays"), style="yellow")


def _end(snapshot: Snapshot, box: boxes.Box) -> RenderableType:
    view = snapshot.view
    summary = view.summary
    lines: list[RenderableType] = []
    if summary.get("why"):
        lines.append(Text(clean(tr(summary["why"])), style="bold"))
    for name in ("rto", "rpo"):
        known = summary.get(name) or {}
        promised, measured = known.get("promised"), known.get("measured")
        got = duration(measured) if measured is not None else tr("unknown")
        told = tr(f"promised {duration(promised)}" if promised is not None else "nothing promised")
        kept = ""
        if promised is not None and measured is not None:
            kept = "   " + tr("kept" if measured <= promised else "NOT KEPT")
        lines.append(Text(f"{name.upper()}  {tr(f'measured {got}')}, {told}{kept}"))
    if summary.get("tolerated"):
        lines.append(Text(tr(f"tolerated failures: {clean(', '.join(summary['tolerated']))}"), style="yellow"))
    for left in summary.get("left") or ():
        where = clean(left["host"]) if left["host"] else tr("the node")
        lines.append(Text(tr(f"LEFT TO DO BY HAND on {where}: {command_line(left['undo'])}"), style="bold red"))
        lines.append(Text(f"  {clean(left['name'])}: {clean(tr(left['why']))}"))
    reviews = [value for key, value in snapshot.memos.items() if key.startswith("review:")]
    lines += [Text(tr(f"a review by {r['people']} people is due by {r['due']}"), style="yellow") for r in reviews]
    if view.state is not RunState.refused:
        lines.append(Text(tr("its locks are free"), style="dim"))
    ended = f"{word(view.state.value).upper()}  {clock(view.ended_at)}" if view.ended_at else word(view.state.value)
    style = RUN_STYLES.get(view.state, "cyan")
    return Panel(Group(*lines), title=ended, title_align="left", box=box, border_style=style)
