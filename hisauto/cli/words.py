"""What things are called on the screen: symbols, actions, exact commands to type."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hisauto.cli.language import language, message, tr
from hisauto.cli.terminal import clean, duration
from hisauto.model.run import RunState, RunView

SYMBOLS = {
    "pending": ("·", "."), "running": ("▶", ">"), "waiting": ("◆", "?"), "skipped": ("−", "-"), "already": ("✓", "+"),
    "done": ("✓", "+"), "granted": ("✓", "+"), "holds": ("✓", "+"), "failed": ("✗", "x"), "false": ("✗", "x"),
    "in_doubt": ("?", "?"), "unknown": ("?", "?"), "undone": ("↶", "<"), "undo_failed": ("✗", "x"),
}  # fmt: skip
STYLES = {
    "pending": "dim", "running": "bold cyan", "waiting": "bold yellow", "skipped": "dim", "already": "green",
    "done": "green", "granted": "green", "holds": "green", "failed": "bold red", "false": "bold red",
    "in_doubt": "bold yellow", "unknown": "bold yellow", "undone": "magenta", "undo_failed": "bold red",
}  # fmt: skip
RUN_STYLES = {
    RunState.succeeded: "bold green", RunState.waiting: "bold yellow", RunState.in_doubt: "bold yellow",
    RunState.failed: "bold red", RunState.rollback_failed: "bold red", RunState.partial: "bold yellow",
    RunState.rolled_back: "bold magenta",
}  # fmt: skip
EXITS = {
    RunState.succeeded: 0, RunState.partial: 10, RunState.refused: 11, RunState.rejected: 12, RunState.expired: 13,
    RunState.failed: 14, RunState.rolled_back: 15, RunState.rollback_failed: 16, RunState.cancelled: 17,
}  # fmt: skip
GOES_ON = 20
WORDS = frozenset({
    message("pending"), message("running"), message("waiting"), message("skipped"), message("already"),
    message("started"), message("done"), message("granted"), message("holds"), message("failed"), message("false"),
    message("in doubt"), message("unknown"), message("undone"), message("undo failed"), message("queued"),
    message("locking"), message("guarding"), message("verifying"), message("rolling back"), message("succeeded"),
    message("partial"), message("refused"), message("rejected"), message("expired"), message("rolled back"),
    message("rollback failed"), message("cancelled"), message("emergency"), message("drill"), message("change"),
    message("inspection"), message("routine"), message("yes"), message("no"), message("again"), message("rollback"),
    message("stop"), message("error"), message("warning"),
})  # fmt: skip
"""Ours. A gate's own choices are its author's words, and stay."""


def exit_code(state: RunState) -> int:
    """Of a command that is about one run."""
    return EXITS.get(state, GOES_ON)


def word(state: str) -> str:
    """A state, a kind or an answer, as one says it."""
    said = state.replace("_", " ")
    return tr(said) if said in WORDS else said


def command_line(action: Mapping[str, Any], limit: int = 400) -> str:
    """An action as one reads it: ``command: pg_ctl promote``."""
    kind, fields = action["kind"], action["fields"]
    if "argv" in fields:
        shown = shlex.join(map(str, fields["argv"]))
    elif "script" in fields:
        shown = str(fields["script"])
    elif "role" in fields:
        given = fields.get("vars") or {}
        shown = " ".join([str(fields["role"]), *(f"{name}={_value(value)}" for name, value in given.items())])
    elif "query" in fields:
        shown = str(fields["query"]) + (f"   (on {fields['on']})" if fields.get("on") else "")
    elif "url" in fields:
        shown = f"{fields.get('method', 'GET')} {fields['url']}"
    elif len(fields) == 1:
        shown = _value(next(iter(fields.values())))
    else:
        shown = json.dumps(fields, ensure_ascii=False)
    text = clean(f"{kind}: {shown.strip()}")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def fact_value(value: Any) -> str:
    """A fact by host: ``db2: synchronous=true, lag=0``."""
    if isinstance(value, Mapping):
        inner = [f"{k}: {_pairs(v)}" if isinstance(v, Mapping) else f"{k}={_value(v)}" for k, v in value.items()]
        return clean("; ".join(inner))
    return clean(_value(value))


def _pairs(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={_value(v)}" for k, v in value.items() if v not in ("", []))


def age(taken_at: str | None, now: datetime) -> str:
    if taken_at is None:
        return tr("age unknown")
    return tr(f"{duration(max(0.0, (now - moment(taken_at)).total_seconds()))} ago")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def clock(at: datetime) -> str:
    """Local time, as the clock on the wall has it."""
    return at.astimezone().strftime("%H:%M:%S")


def title(titles: Mapping[str, str]) -> str:
    """In the user's language, else in English, else in whichever there is."""
    return clean(titles.get(language()) or titles.get("en") or next(iter(titles.values())))


def incident(view: RunView) -> str:
    return tr(f"{clean(view.incident)} level {view.level}" if view.incident else "no incident")


def answers(view: RunView) -> list[str]:
    """The exact commands that answer what a run waits for."""
    return [command for question in view.questions for command in answers_to(view, question)]


def answers_to(view: RunView, question: Mapping[str, Any]) -> list[str]:
    """The exact commands that answer one of its questions."""
    several = len(view.questions) > 1
    match question.get("kind"):
        case "gate":
            gate = f" {shlex.quote(clean(question['id'].removeprefix('gate:')))}" if several else ""
            yes = f"hisauto approve {view.id}{gate}"
            said = [f"{yes} --answer {choice}" for choice in question.get("choices") or ()] or [yes]
            broken = [f"{yes} --break-glass --reason TEXT"] if question.get("break_glass") else []
            return [*said, f"hisauto reject {view.id}{gate} --reason TEXT", *broken]
        case "in_doubt" | "ask" | "manual" | "window":
            step = shlex.quote(clean(question["step"]))
            shown = " --evidence TEXT" if question.get("evidence") else ""
            return [
                f"hisauto decide {view.id} {step} {answer}{shown if answer == 'done' else ''}"
                for answer in question["answers"]
            ]
        case _:
            return []
