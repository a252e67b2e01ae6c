"""A host without a POSIX shell, an appliance with a command line: one channel a command, and no receipts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import Protocol

from hisauto.errors import Invalid
from hisauto.model.transport import Completed, Fate, Lost, OnOutput, Receipt, Script
from hisauto.transports.channel import Channel, Connection, Gone
from hisauto.transports.session import CAP
from hisauto.transports.shell import Kept


class ExitChannel(Channel, Protocol):
    def exit_status(self) -> int: ...


class ExitConnection(Connection, Protocol):
    def execute(self, command: str | bytes) -> ExitChannel: ...


class BareSession:
    """``Session`` where nothing is remembered. A command that is cut off, by us or not, is ``Lost``."""

    def __init__(self, connect: Callable[[], ExitConnection], name: str) -> None:
        self._connect = connect
        self._name = name
        self._connection: ExitConnection | None = None
        self._lock = threading.Lock()

    def place(self, become: str | None = None) -> str | None:
        return None

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        if script.env or script.become:
            raise Invalid(f"{self._name} has no POSIX shell: neither environment nor another user can be given there")
        out = Kept(CAP, on_output and (lambda data: on_output("out", data)))
        err = Kept(CAP, on_output and (lambda data: on_output("err", data)))
        deadline = monotonic() + script.timeout
        try:
            with closing(self._live().execute(script.text.encode())) as channel:
                while (came := channel.receive(0.1)) is not None:
                    out.add(came[0])
                    err.add(came[1])
                    if monotonic() >= deadline:
                        raise Lost(f"{self._name}: no end after {script.timeout:g} s; it may still be running")
                    if cancelled and cancelled():
                        raise Lost(f"{self._name}: left before its end; it may still be running")
                rc = channel.exit_status()
        except Gone as e:
            raise Lost(f"{self._name}: the connection was lost: {e}") from e
        if rc < 0:
            raise Lost(f"{self._name}: the connection was lost in mid-command, or the host gave no exit code")
        return Completed(rc, "exit", bytes(out.data), bytes(err.data), out.truncated or err.truncated)

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
        if place is not None:
            return Receipt(Fate.no_receipts, why="the host has no POSIX shell")
        return Receipt(Fate.finished, self.probe(script, on_output=on_output, cancelled=cancelled))

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
        return Receipt(Fate.no_receipts, why="the host has no POSIX shell")

    def forget(self, epoch: int) -> None: ...

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _live(self) -> ExitConnection:
        with self._lock:
            if self._connection is None or not self._connection.alive:
                if self._connection is not None:
                    self._connection.close()
                self._connection = self._connect()
            return self._connection
