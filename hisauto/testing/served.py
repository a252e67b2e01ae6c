"""A world in a process of its own, that outlives the nodes which work on it: its hosts and its clock behind a socket.

The hosts, their receipts and what goes wrong are those of ``hisauto.testing.world``; only the way to them is longer. A
node that dies in mid-call leaves its action at work, as a cut connection leaves it on a real host.

Requests are pickled, so the socket has to lie in a folder that nobody else can enter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, TypeVar

from hisauto.errors import Broken, HisautoError
from hisauto.model.transport import Completed, OnOutput, Receipt, Script
from hisauto.testing.session import MemorySession
from hisauto.testing.world import NODE, MemoryWorld, RunWorld

T = TypeVar("T")
GONE = (EOFError, ConnectionError)
"""What a process sees when the one at the other end has died."""


# ---------------------------------------------------------------- the world's side
def serve(world: MemoryWorld, address: str) -> None:
    """Answer for this world on a Unix socket, each connection in a thread, until the process is killed."""
    with Listener(address, "AF_UNIX", backlog=128) as listener:
        while True:
            threading.Thread(target=_answer, args=(world, listener.accept()), daemon=True).start()


def _answer(world: MemoryWorld, connection: Connection) -> None:
    """Requests of one connection, one after another. Whoever asked and died gets no answer, and nothing is undone."""
    with connection:
        try:
            while True:
                function, args, backs = connection.recv()
                asking = {name: _back(connection, name) for name in backs}
                try:
                    answer = ("answer", function(world, *args, **asking))
                except HisautoError as error:
                    answer = ("raised", error)
                connection.send(answer)
        except GONE:
            return


def _back(connection: Connection, name: str) -> Callable[..., Any]:
    def ask(*args: Any) -> Any:
        connection.send(("back", (name, args)))
        return connection.recv()

    return ask


def _call(world: MemoryWorld, host: str, run: str, method: str, *args: Any, **more: Any) -> Any:
    named = args[-1]
    return getattr(MemorySession(world.hosts[host], run, world.clock), method)(*args[:-1], **named, **more)


def _time(world: MemoryWorld, method: str, *args: Any) -> Any:
    return getattr(world.clock, method)(*args)


# ---------------------------------------------------------------- a node's side
class Remote:
    """The way to a world in another process. Thread-safe: each call has a connection for as long as it lasts."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._idle: list[Connection] = []
        self._mutex = threading.Lock()

    def call(self, function: Callable[..., T], *args: Any, **backs: Callable[..., Any] | None) -> T:
        """What ``function(world, *args, **backs)`` returns or raises over there.

        The function is named by its module, its arguments and its answer are pickled; ``backs`` are called here, while
        it works. Raises ``Broken`` when there is no such world any more.
        """
        asked = {name: back for name, back in backs.items() if back is not None}
        try:
            connection = self._take()
            connection.send((function, args, tuple(asked)))
            kind, said = connection.recv()
            while kind == "back":
                connection.send(asked[said[0]](*said[1]))
                kind, said = connection.recv()
        except (*GONE, FileNotFoundError) as error:
            raise Broken(f"there is no world at {self.address} any more") from error
        with self._mutex:
            self._idle.append(connection)
        if kind == "raised":
            raise said
        answer: T = said
        return answer

    def _take(self) -> Connection:
        with self._mutex:
            if self._idle:
                return self._idle.pop()
        return Client(self.address, "AF_UNIX")


class FarClock:
    """``hisauto.clock.Clock``: the world's."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def now(self) -> datetime:
        moment: datetime = self.remote.call(_time, "now")
        return moment

    def monotonic(self) -> float:
        return float(self.remote.call(_time, "monotonic"))

    def sleep(self, seconds: float) -> None:
        self.remote.call(_time, "sleep", seconds)


class FarSession:
    """``hisauto.model.transport.Session`` to a host of that world."""

    def __init__(self, remote: Remote, host: str, run: str) -> None:
        self.remote, self.host, self.run = remote, host, run

    def _call(self, method: str, *args: Any, backs: dict[str, Any] | None = None, **named: Any) -> Any:
        return self.remote.call(_call, self.host, self.run, method, *args, named, **(backs or {}))

    def place(self, become: str | None = None) -> str | None:
        there: str | None = self._call("place", become)
        return there

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        done: Completed = self._call("probe", script, backs={"on_output": on_output, "cancelled": cancelled})
        return done

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
        backs = {"on_output": on_output, "cancelled": cancelled}
        receipt: Receipt = self._call("act", attempt, epoch, script, place, backs=backs)
        return receipt

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
        backs = {"on_output": on_output, "cancelled": cancelled}
        receipt: Receipt = self._call("settle", attempt, epoch, place, backs=backs, become=become, wait=wait, kill=kill)
        return receipt

    def forget(self, epoch: int) -> None:
        self._call("forget", epoch)

    def close(self) -> None:
        return


class FarWorld(RunWorld):
    """A site whose people, groups and actions are here, and whose hosts are in another process."""

    def __init__(self, world: MemoryWorld, run: str, remote: Remote) -> None:
        super().__init__(world, run)
        self.remote = remote

    def session(self, host: str | None) -> FarSession:
        return FarSession(self.remote, host or NODE, self.run)

