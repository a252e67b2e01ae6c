"""What things are called on the screen: symbols, actions, exact commands to type."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

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


def exit_code(state: RunState) -> int:
    """Of a command that is about one run."""
    return EXITS.get(state, GOES_ON)


def word(state: str) -> str:
    return {"in_doubt": "in doubt", "undo_failed": "undo failed"}.get(state, state).replace("_", " ")


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
    return "age unknown" if taken_at is None else f"{duration(max(0.0, (now - moment(taken_at)).total_seconds()))} ago"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def clock(at: datetime) -> str:
    """Local time, as the clock on the wall has it."""
    return at.astimezone().strftime("%H:%M:%S")


def title(titles: Mapping[str, str]) -> str:
    """In the user's language, else in English, else in whichever there is."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            wanted = os.environ[name].partition("_")[0].partition(".")[0]
            if wanted in titles:
                return clean(titles[wanted])
            break
    return clean(titles.get("en") or next(iter(titles.values())))


def incident(view: RunView) -> str:
    return f"{clean(view.incident)} level {view.level}" if view.incident else "no incident"


def answers(view: RunView) -> list[str]:
    """The exact commands that answer what a run waits for."""
    question = view.question or {}
    match question.get("kind"):
        case "gate":
            said = [f"hisauto approve {view.id}", f"hisauto reject {view.id} --reason TEXT"]
            return [*said, f"{said[0]} --break-glass --reason TEXT"] if question.get("break_glass") else said
        case "in_doubt" | "ask":
            step = shlex.quote(clean(question["step"]))
            return [f"hisauto decide {view.id} {step} {answer}" for answer in question["answers"]]
        case _:
            return []
