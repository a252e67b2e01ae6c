"""The node itself as a host: the same receipts, held by a child ``sh``. What it starts outlives the node's process."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, cast

from hisauto.errors import Unreachable
from hisauto.transports.channel import Channel, Gone
from hisauto.transports.session import ShellSession
from hisauto.transports.shell import BOOT_FILE

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "VIRTUAL_ENV")
"""What a child gets of our environment; the rest may hold secrets that are the node's own."""
SEND = 60.0
"""Seconds a child may leave what we write unread."""


class LocalChannel:
    """A child process over pipes, in a session of its own: a Ctrl-C at the node's terminal is not for it."""

    def __init__(self, command: str, env: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(
            ["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, env=env, bufsize=0, start_new_session=True
        )
        # bufsize and the three pipes make these raw files
        self._stdin, self._stdout, self._stderr = (
            cast(IO[bytes], f) for f in (self._child.stdin, self._child.stdout, self._child.stderr)
        )
        os.set_blocking(self._stdin.fileno(), False)
        self._open = {self._stdout.fileno(), self._stderr.fileno()}
        self._poll = select.poll()
        for fd in self._open:
            self._poll.register(fd, select.POLLIN)
        self._closing = threading.Lock()

    def send(self, data: bytes) -> None:
        rest, deadline = memoryview(data), time.monotonic() + SEND
        writable = select.poll()
        writable.register(self._stdin.fileno(), select.POLLOUT)
        while rest:
            if not writable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise Gone("the shell reads nothing")
            try:
                rest = rest[os.write(self._stdin.fileno(), rest) :]
            except BlockingIOError:
                continue
            except OSError as e:
                raise Gone(str(e)) from e

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        if not self._open:
            return None
        ended = self._child.poll() is not None  # asked first: what it wrote before its end is then still read
        ready = dict(self._poll.poll(0 if ended else timeout * 1000))
        out, err = (self._read(f, ready) for f in (self._stdout, self._stderr))
        if not out and not err and ended:
            return None
        return out, err

    def close(self) -> None:
        """Ends the shell, not what runs under a receipt."""
        with self._closing:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            self._child.wait()
            for stream in (self._stdin, self._stdout, self._stderr):
                stream.close()

    def _read(self, stream: IO[bytes], ready: dict[int, int]) -> bytes:
        if stream.fileno() not in ready:
            return b""
        data = os.read(stream.fileno(), 1 << 20)
        if not data:
            self._poll.unregister(stream.fileno())
            self._open.remove(stream.fileno())
        return data


class LocalConnection:
    """The node as a host: always there."""

    name = "the node"
    alive = True

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def open(self, command: str) -> Channel:
        try:
            return LocalChannel(command, self._env)
        except OSError as e:
            raise Unreachable(f"the node can't start a shell: {e}") from e

    def close(self) -> None: ...


class LocalTransport:
    """``Transport`` to the node itself."""

    def __init__(
        self, *, env: Mapping[str, str] | None = None, base: str = "", boot_file: str = BOOT_FILE, **limits: int
    ) -> None:
        """``env`` replaces what children get (``KEPT`` of ours); ``limits`` are ``ShellSession``'s."""
        self._env = {k: os.environ[k] for k in KEPT if k in os.environ} if env is None else dict(env)
        self._options: dict[str, Any] = {"base": base, "boot_file": boot_file, **limits}
        self._sessions: dict[tuple[str, str], ShellSession] = {}
        self._lock = threading.Lock()

    def session(self, host: str, vars: Mapping[str, Any], run: str) -> ShellSession:
        with self._lock:
            if (host, run) not in self._sessions:
                connection = LocalConnection(self._env)
                self._sessions[host, run] = ShellSession(lambda: connection, host, run, **self._options)
            return self._sessions[host, run]

    def close(self) -> None:
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()
