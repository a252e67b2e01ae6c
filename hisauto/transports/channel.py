"""A byte channel to one shell, and the connection that opens such channels."""

from __future__ import annotations

from typing import Protocol

from hisauto.errors import Unreachable


class Gone(Exception):
    """The channel's other end is no longer there. Internal: the session turns it into ``Lost``."""


class NoShell(Unreachable):
    """The host answered, but not with a POSIX shell."""


class Channel(Protocol):
    """Standard input, output and error of one remote process."""

    def send(self, data: bytes) -> None:
        """All of it. Raises ``Gone``."""

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        """What has come on output and error: both empty after ``timeout`` seconds of silence, ``None`` at the end.

        Raises ``Gone`` where the end is known to be none of the process's.
        """

    def close(self) -> None: ...


class Connection(Protocol):
    """One way to one host, as one user."""

    name: str
    """The host as messages name it."""

    def open(self, command: str) -> Channel:
        """Start ``command`` there. Raises ``Gone`` when the connection is no more."""

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...
