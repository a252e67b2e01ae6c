"""The shells of one session: kept across steps, shared between threads, opened again when the connection was lost."""

from __future__ import annotations

import shlex
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from hisauto.errors import Unreachable
from hisauto.transports.channel import Connection, Gone, NoShell
from hisauto.transports.shell import Shell

LIMIT = 8
"""Shells at once: sshd's MaxSessions is 10 unless someone changed it."""
SIDE = 2
"""Of these, kept free for looking at and ending what the others wait for."""


@dataclass
class _Entry:
    shell: Shell
    connection: Connection
    become: str | None


class Shells:
    """Gives out shells, one user of each at a time. Thread-safe."""

    def __init__(self, connect: Callable[[], Connection], open_shell: Callable[[Connection, str], Shell]) -> None:
        self._connect = connect
        self._open_shell = open_shell
        self._connection: Connection | None = None
        self._idle: list[_Entry] = []
        self._open = 0
        self._lost: dict[str | None, list[tuple[str, str]]] = defaultdict(list)
        self._changed = threading.Condition(threading.RLock())

    def connection(self) -> Connection:
        """The live connection; a new one when there is none. Raises ``Unreachable``."""
        with self._changed:
            if self._connection is None or not self._connection.alive:
                self._drop_idle()
                if self._connection is not None:
                    self._connection.close()  # dead, but it may hold one to a jump host
                self._connection = self._connect()
            return self._connection

    @contextmanager
    def take(self, become: str | None, side: bool = False) -> Iterator[Shell]:
        """A shell of the user ``become``. One that was left in mid-answer is not used again.

        Raises ``Unreachable`` while there is none yet; what the body raises passes through.
        """
        entry = self._acquire(become, LIMIT if side else LIMIT - SIDE)
        try:
            yield entry.shell
        except BaseException:
            self._discard(entry)
            raise
        with self._changed:
            self._idle.append(entry)
            if entry.connection is not self._connection:  # someone had to make a new one in the meantime
                self._close_idle(entry)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._drop_idle()
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _acquire(self, become: str | None, limit: int) -> _Entry:
        with self._changed:
            while True:
                connection = self.connection()
                entry = next((e for e in self._idle if e.become == become), None)
                if entry is not None:
                    self._idle.remove(entry)
                    break
                if self._open < limit:
                    self._open += 1
                    entry = None
                    break
                if self._idle:
                    self._close_idle(self._idle[0])
                    continue
                self._changed.wait(1.0)
        if entry is None:
            entry = self._start(connection, become)
        self._bury_lost(entry)
        return entry

    def _start(self, connection: Connection, become: str | None) -> _Entry:
        command = "exec sh" if become is None else f"exec sudo -n -H -u {shlex.quote(become)} -- sh"
        try:
            return _Entry(self._open_shell(connection, command), connection, become)
        except BaseException as e:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()
            if isinstance(e, Gone) or (isinstance(e, NoShell) and not connection.alive):
                raise Unreachable(f"{connection.name}: the connection was lost while a shell was opened") from e
            if isinstance(e, NoShell):
                raise _no_shell(connection.name, become, str(e)) from e
            raise

    def _bury_lost(self, entry: _Entry) -> None:
        """End shells of lost connections first: a frame still on its way to one of them must not run after we ask."""
        with self._changed:
            lost = self._lost[entry.become]
            try:
                while lost:
                    token = entry.shell.call("bury", *lost[-1])
                    entry.shell.reply(token, monotonic() + 30)
                    lost.pop()
            except Gone as e:
                self._discard(entry)
                raise Unreachable(f"{entry.connection.name}: the connection was lost again") from e

    def _discard(self, entry: _Entry) -> None:
        with self._changed:
            self._lost[entry.become].append(entry.shell.process)
            entry.shell.close()
            self._open -= 1
            self._changed.notify_all()

    def _close_idle(self, entry: _Entry) -> None:
        self._idle.remove(entry)
        entry.shell.close()
        self._open -= 1

    def _drop_idle(self) -> None:
        for entry in list(self._idle):
            self._close_idle(entry)


def _no_shell(name: str, become: str | None, said: str) -> Unreachable:
    why = f": {said}" if said else ""
    if become is not None and "password is required" in said:
        return Unreachable(
            f"{name}: sudo asks for a password to become {become}, and there is nobody to type one",
            hint=f"in sudoers on that host: LOGIN ALL=({become}) NOPASSWD: /bin/sh, with the login user for LOGIN",
        )
    if become is not None:
        return Unreachable(
            f"{name}: can't become {become}{why}",
            hint=f"allow the login user to run sh as {become} without a password in sudoers (NOPASSWD)",
        )
    return NoShell(
        f"{name}: the login gives no POSIX shell{why}",
        hint="give the account a shell, or set the host's variable hisauto_shell to none: its commands then run one by "
        "one, without receipts",
    )
