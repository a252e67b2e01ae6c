"""How a host is reached, as the engine sees it. Implementations stand in ``hisauto.transports``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from hisauto.errors import Unreachable

OnOutput = Callable[[Literal["out", "err"], bytes], None]
"""Called with live output as it comes; may be called from the caller's own thread only."""


class Lost(Unreachable):
    """The connection ended before the answer: the command may be running, finished or never started."""


@dataclass(frozen=True)
class Script:
    """What runs on a host: POSIX sh text, with its environment and limits."""

    text: str
    env: Mapping[str, str] = field(default_factory=dict)
    become: str | None = None
    """Run as this user through ``sudo -n``; ``None`` runs as the connection's own user."""
    timeout: float = 3600.0
    """Seconds after which the host itself ends it, group and all."""
    secrets: tuple[str, ...] = ()
    """Values that must not appear in anything that is stored or shown."""


@dataclass(frozen=True)
class Completed:
    """A command that ended. ``how`` says whether ``rc`` is its own."""

    rc: int
    how: Literal["exit", "timeout", "killed"]
    out: bytes = b""
    err: bytes = b""
    truncated: bool = False


class Fate(StrEnum):
    """What a host says of an attempt."""

    finished = "finished"  # ``completed`` holds the result
    running = "running"
    none = "none"  # it never started, and the host is the same place: it may be started
    moved = "moved"  # another place (boot, container, wiped receipts): can't be told
    died = "died"  # it started and its worker is gone without an end: can't be told
    refused = "refused"  # a newer epoch has been here
    no_receipts = "no_receipts"  # this session can't keep receipts
    no_space = "no_space"  # the start was refused, nothing ran


@dataclass(frozen=True)
class Receipt:
    """The host's answer about one attempt."""

    fate: Fate
    completed: Completed | None = None
    same_boot: bool = True
    """For ``finished``: whether it ended in the boot that the host is in now."""
    why: str = ""


class Session(Protocol):
    """One host, reached as one user, for one run. Reconnects by itself on the next call after ``Lost``.

    Thread-safe: calls from several threads are served one after another or side by side, never mixed.
    """

    def place(self, become: str | None = None) -> str | None:
        """Boot id, start of pid 1 and the random id of the run's receipt folder; ``None``: no receipts here.

        Journal it with every intent. Raises ``Unreachable``; ``Refused`` where their folder can't be used.
        """

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        """Run without a receipt: for what only looks. Raises ``Unreachable`` (``Lost`` in mid-command)."""

    def act(
        self,
        attempt: str,
        epoch: int,
        script: Script,
        place: str | None,
        *,
        on_output: OnOutput | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Receipt:
        """Start it at most once under a receipt and wait for its end.

        ``cancelled`` turning true ends the process provably (``how='killed'``). An attempt already claimed is not
        started again: the answer is then what ``settle`` would say. ``place`` None runs it without a receipt.
        Raises ``Unreachable`` before anything was sent, ``Lost`` when the end is not known.
        """

    def settle(
        self,
        attempt: str,
        epoch: int,
        place: str | None,
        *,
        become: str | None = None,
        wait: float = 0.0,
        kill: bool = False,
        on_output: OnOutput | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Receipt:
        """Ask the host what became of an attempt; waits up to ``wait`` seconds for a running one; ``kill`` ends it."""

    def forget(self, epoch: int) -> None:
        """Clean up this run's receipts at its end, leaving a tombstone. Best effort, never raises."""

    def close(self) -> None: ...


class Transport(Protocol):
    """A way to reach hosts (``ssh``, ``local``, …). Opened lazily; sessions are cached by (host, run)."""

    def session(self, host: str, vars: Mapping[str, Any], run: str) -> Session:
        """A session to ``host`` by its inventory variables (``ansible_host``, ``ansible_port``, …)."""

    def close(self) -> None: ...
