"""Connections to jump hosts: one for each, shared by all that go through it, closed after the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hisauto.transports.address import Address
from hisauto.transports.channel import Connection

C = TypeVar("C", bound=Connection)


@dataclass
class _Shared(Generic[C]):
    connection: C | None = None
    users: int = 0
    opening: threading.Lock = field(default_factory=threading.Lock)


class Jumps(Generic[C]):
    """Thread-safe."""

    def __init__(self, connect: Callable[[Address], C]) -> None:
        self._connect = connect
        self._shared: dict[Address, _Shared[C]] = {}
        self._lock = threading.Lock()

    def take(self, jump: Address) -> C:
        """The connection to ``jump``, a new one when there is none that is alive; ``leave`` it once.

        Raises ``Unreachable``.
        """
        with self._lock:
            shared = self._shared.setdefault(jump, _Shared())
            shared.users += 1
        try:
            with shared.opening:
                if shared.connection is None or not shared.connection.alive:
                    shared.connection = self._connect(jump)
                return shared.connection
        except BaseException:
            self.leave(jump)
            raise

    def leave(self, jump: Address) -> None:
        """One user less."""
        with self._lock:
            shared = self._shared[jump]
            shared.users -= 1
            if shared.users:
                return
            del self._shared[jump]
        if shared.connection is not None:
            shared.connection.close()
