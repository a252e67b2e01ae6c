"""What is on record of one run at one moment, for whoever shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hisauto.actions.ansible import RESULT
from hisauto.app import App
from hisauto.audit.entry import Entry
from hisauto.model.run import Attempt, Decision, RunView
from hisauto.plan.plan import Plan

if TYPE_CHECKING:
    from hisauto.store.rows import Output

_MACHINE = re.compile(rf"^{RESULT}.*\n?", re.MULTILINE)
TAIL = 12
"""Lines of live output that are kept of each attempt."""


@dataclass(frozen=True)
class Snapshot:
    """One run."""

    view: RunView
    plan: Plan
    attempts: Sequence[Attempt]
    memos: Mapping[str, Any]
    """What the engine noted, by key. What was too large for the log is there by its digest only."""
    decisions: Sequence[Decision]
    now: datetime
    tail: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The last lines of output, by attempt."""

    def memo(self, key: str) -> Any:
        """What was noted under ``key``; None: nothing, or it is not in the log as a whole."""
        value = self.memos.get(key)
        return None if isinstance(value, Mapping) and value.keys() == {"sha256", "bytes"} else value


def _for_people(piece: Output) -> Output:
    """Without the line that a role's process ends with, which is for the machine."""
    return replace(piece, text=_MACHINE.sub("", piece.text))


class Follower:
    """Reads one run again and again, each time only what is new."""

    def __init__(self, app: App, run: str) -> None:
        self._app, self._run = app, run
        self._plan = Plan.from_json(app.store.plan(run))
        self._next = 0
        self._last_output = 0
        self._memos: dict[str, Any] = {}
        self._text: dict[str, str] = {}

    def events(self) -> tuple[RunView, list[Entry], list[Output]]:
        """The run, and what came since the last call. The run is read first: an end has all its entries."""
        view = self._app.store.view(self._run)
        entries = list(self._app.store.entries(self._next, self._run))
        outputs = [_for_people(piece) for piece in self._app.store.outputs(self._run, self._last_output)]
        for entry in entries:
            self._next = entry.seq + 1
            if "key" in entry.data and "value" in entry.data:
                self._memos[entry.data["key"]] = entry.data["value"]
        for piece in outputs:
            self._last_output = piece.seq
            # A long line without an end must not grow for ever.
            text = (self._text.get(piece.attempt, "") + piece.text)[-8192:]
            self._text[piece.attempt] = "\n".join(text.split("\n")[-TAIL - 1 :])
        return view, entries, outputs

    def snapshot(self) -> Snapshot:
        view, _, _ = self.events()
        return Snapshot(
            view=view,
            plan=self._plan,
            attempts=self._app.store.attempts(self._run),
            memos=dict(self._memos),
            decisions=self._app.store.decisions(self._run),
            now=self._app.clock.now(),
            tail={attempt: [x for x in text.split("\n") if x.strip()][-TAIL:] for attempt, text in self._text.items()},
        )
