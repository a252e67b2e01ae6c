"""What the engine reads and writes while it drives a run. ``hisauto.store`` implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from hisauto.model.run import Attempt, AttemptState, Decision, RunState, RunView
from hisauto.redact import Redactor


class Journal(Protocol):
    """One run under one epoch. Every write is one transaction: state, audit entry and wake-ups together.

    Every write raises ``Superseded`` when a newer epoch drives the run; then nothing was written. Thread-safe.
    Values are JSON. Reads of attempts and memos are served from memory; decisions and cancels are read fresh.
    """

    epoch: int
    redactor: Redactor
    """Knows what is masked in everything that is written."""

    def view(self) -> RunView: ...

    def plan(self) -> Mapping[str, Any]:
        """The frozen plan, as it was digested."""

    def request(self) -> Decision:
        """The signed request that started the run (``question='run'``)."""

    def recall(self, key: str) -> Any | None:
        """A memo by its key, or None."""

    def note(self, key: str, value: Any, *, kind: str = "note") -> Any:
        """Write a memo once and return it; a second write under the same key returns the first one's value."""

    def attempts(self) -> Sequence[Attempt]:
        """All of this run, by ``seq``."""

    def attempt(self, path: str, n: int) -> Attempt | None: ...

    def record(
        self,
        path: str,
        n: int,
        state: AttemptState,
        *,
        name: str = "",
        host: str | None = None,
        intent: Mapping[str, Any] | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Attempt:
        """Create an attempt or move it. Committed (and durable) on return; an illegal move raises ``Broken``."""

    def output(self, attempt: str, stream: str, text: str) -> None:
        """Live output for those who watch: gathered for a moment, bounded per attempt, not part of the record.

        Raises ``Superseded`` only when it is written.
        """

    def move(self, state: RunState, *, why: str = "") -> None: ...

    def decisions(self, question: str) -> Sequence[Decision]: ...

    def cancels(self) -> Sequence[Decision]:
        """Decisions with ``question='cancel'``, fresh from the database."""

    def take_locks(self, keys: Sequence[str]) -> Mapping[str, str]:
        """All keys or none, owned by the run. Returns who holds what (key → run) when it didn't get them."""

    def park(self, state: RunState, question: Mapping[str, Any], wake_at: datetime | None, seen: int) -> bool:
        """Stop driving until somebody decides or ``wake_at`` comes.

        ``seen`` is ``inbox()`` as read before the last look at the decisions; when more has come since, nothing is
        written and the answer is False: look again.
        """

    def inbox(self) -> int:
        """How many decisions this run has been sent so far."""

    def end(self, state: RunState, summary: Mapping[str, Any]) -> None:
        """Write the end, free the locks, wake who waits for them."""


class Claimed(NamedTuple):
    """Who drives a run."""

    epoch: int
    """How often it was claimed."""
    node: str | None
    """None: nobody."""
    beats: int | None
    """How often that node has said that it lives. None: it has left."""


class Runs(Protocol):
    """All runs on record, as a node that drives them sees it. ``hisauto.store`` implements it."""

    def awake(self) -> Mapping[str, Claimed]:
        """Runs that somebody should be driving, neither ended nor parked; the oldest first."""

    def wake_due(self, now: datetime) -> list[str]:
        """Wake every parked run whose time has come."""

    def claim(self, run: str, node: str, *, epoch: int | None = None) -> Journal:
        """Drive a run from here on; every older journal of it is superseded.

        Raises ``Superseded`` if it has ended, or somebody has claimed it since ``epoch``.
        """

    def open(self) -> bool:
        """Whether any run has not ended yet."""

    def beat(self, node: str, host: str, pid: int) -> None:
        """Say that a node lives."""

    def leave(self, node: str) -> None:
        """It ends: what it drives is anybody's at once."""
