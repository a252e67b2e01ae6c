"""A database connection that can't hang for ever, for the service, the writer and the watcher."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


@contextlib.contextmanager
def connect(dsn: str, seconds: float) -> Iterator[Connection]:
    """A connection with autocommit on, cut after ``seconds``. Raises psycopg.Error.

    libpq knows no time-out for a statement whose server was stopped: shutting the socket down ends the wait.
    """
    connection = psycopg.connect(dsn, autocommit=True, connect_timeout=2)
    line = socket.socket(fileno=connection.fileno())
    timer = threading.Timer(seconds, _cut, [line])
    timer.daemon = True
    timer.start()
    try:
        yield connection
    finally:
        timer.cancel()
        line.detach()  # the descriptor is libpq's
        connection.close()


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has just been closed
        line.shutdown(socket.SHUT_RDWR)
