"""SSH by paramiko: one transport a host and run, kept across steps; a session's shells are channels on it."""

from __future__ import annotations

import contextlib
import getpass
import logging
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paramiko

from hisauto.errors import Invalid, Unreachable
from hisauto.model.transport import Session
from hisauto.transports.bare import BareSession
from hisauto.transports.channel import Channel, Gone
from hisauto.transports.keys import Keys
from hisauto.transports.known_hosts import KnownHosts, fingerprint
from hisauto.transports.session import ShellSession
from hisauto.transports.shell import BOOT_FILE

# paramiko logs tracebacks of what it also raises; without a handler Python would print them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

SEND = 60.0
"""Seconds a host may leave what we write unread."""
FIRST_CIPHER = "aes128-gcm@openssh.com"
"""The fastest one where the processor knows AES; all others stay on offer, in their order."""
RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class Address:
    """Where a host is and who we are there."""

    host: str
    """Its name in the inventory."""
    address: str
    port: int
    user: str
    key_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.host} ({self.user}@{self.address}:{self.port})"

    @classmethod
    def of(cls, host: str, vars: Mapping[str, Any]) -> Address:
        """From Ansible's inventory variables. Raises ``Invalid`` for a port that is none."""
        try:
            port = int(vars.get("ansible_port", 22))
        except (TypeError, ValueError):
            raise Invalid(f"{host}: ansible_port is {vars.get('ansible_port')!r}, not a number") from None
        key = vars.get("ansible_ssh_private_key_file")
        return cls(
            host=host,
            address=str(vars.get("ansible_host", host)),
            port=port,
            user=str(vars.get("ansible_user") or getpass.getuser()),
            key_file=Path(key).expanduser() if key else None,
        )


@dataclass(frozen=True)
class Settings:
    """What all connections share."""

    known_hosts: KnownHosts
    keys: Keys
    connect_timeout: float = 20.0
    """Seconds for each of: the TCP connection, the key exchange, the log-in."""
    silence: float = 30.0
    """Seconds without a sign from the host's network after which the connection counts as lost."""
    base: str = ""
    """The folder for receipts on hosts; empty: each host's own choice."""
    boot_file: str = BOOT_FILE
    limits: Mapping[str, int] = field(default_factory=dict)
    """``cap`` and ``grace`` of ``ShellSession``."""


class SshChannel:
    """One channel of a transport."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise Gone(str(e) or "the channel is closed") from e

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        channel = self._channel
        # Asked first: what came before the end is then still read.
        ended = channel.closed or channel.eof_received or channel.exit_status_ready()
        if not (channel.recv_ready() or channel.recv_stderr_ready()):
            if ended:
                return None
            self._poll.poll(timeout * 1000)
        out = channel.recv(1 << 20) if channel.recv_ready() else b""
        err = channel.recv_stderr(1 << 20) if channel.recv_stderr_ready() else b""
        return out, err

    def exit_status(self) -> int:
        """After the end; -1: the host sent none."""
        self._channel.status_event.wait(5.0)
        return self._channel.exit_status

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # it says goodbye, perhaps to nobody
            self._channel.close()


class SshConnection:
    """A transport that is logged in."""

    def __init__(self, where: Address, settings: Settings) -> None:
        """Raises ``Unreachable`` and ``HostKeyMismatch``."""
        self.name = str(where)
        self._where = where
        self._settings = settings
        self._transport = self._start(self._dial())
        try:
            self._check_host()
            self._log_in()
        except BaseException:
            self._transport.close()
            raise
        self._transport.set_keepalive(max(1, int(settings.silence / 3)))

    @property
    def alive(self) -> bool:
        return bool(self._transport.is_active())

    def open(self, command: str) -> Channel:
        return self.execute(command)

    def execute(self, command: str | bytes) -> SshChannel:
        """One channel that runs ``command``. Raises ``Gone``."""
        try:
            channel = self._transport.open_session(
                window_size=1 << 21, max_packet_size=1 << 15, timeout=self._settings.connect_timeout
            )
            channel.settimeout(SEND)
            channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as e:
            if self.alive:
                raise Unreachable(f"{self.name}: the host opens no more channels: {e}") from e
            raise Gone(str(e) or "the connection is closed") from e
        return SshChannel(channel)

    def close(self) -> None:
        self._transport.close()

    def _dial(self) -> socket.socket:
        where, settings = self._where, self._settings
        try:
            sock = socket.create_connection((where.address, where.port), settings.connect_timeout)
        except OSError as e:
            raise Unreachable(f"{self.name}: no connection: {e.strerror or e}") from e
        # paramiko leaves Nagle's algorithm on; a lost host is found out by TCP itself, in `silence` seconds.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.silence * 1000))
        return sock

    def _start(self, sock: socket.socket) -> paramiko.Transport:
        where, limit = self._where, self._settings.connect_timeout
        transport = paramiko.Transport(sock, default_window_size=1 << 21, default_max_packet_size=1 << 15)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = limit
        options = transport.get_security_options()
        options.ciphers = sorted(options.ciphers, key=lambda c: c != FIRST_CIPHER)
        kinds = self._settings.known_hosts.kinds(where.address, where.port)
        known = {a for kind in kinds for a in (RSA if kind == "ssh-rsa" else (kind,))}
        options.key_types = sorted(options.key_types, key=lambda k: k not in known)
        try:
            transport.start_client(timeout=limit)
            transport.get_remote_server_key()  # start_client returns in silence when its time is up
        except (OSError, EOFError, paramiko.SSHException) as e:
            transport.close()
            raise Unreachable(f"{self.name}: no SSH there: {str(e) or 'the connection was closed'}") from e
        return transport

    def _check_host(self) -> None:
        key = self._transport.get_remote_server_key()
        self._settings.known_hosts.check(self._where.address, self._where.port, key.get_name(), key.asbytes())

    def _log_in(self) -> None:
        where, tried = self._where, []
        with self._settings.keys.offered(where.key_file) as keys:
            for name, key in keys:
                tried.append(f"{name} ({fingerprint(key.asbytes())})")
                if self._accepted(key):
                    return
        offered = f"every key: {', '.join(tried)}" if tried else "us: no key is configured"
        raise Unreachable(
            f"{self.name}: the host refused {offered}",
            hint=f"add the public key to authorized_keys of {where.user} on {where.host}, or configure the right key",
        )

    def _accepted(self, key: paramiko.PKey) -> bool:
        try:
            further = self._transport.auth_publickey(self._where.user, key)
        except paramiko.BadAuthenticationType as e:
            raise Unreachable(f"{self.name}: the host takes no keys, only {', '.join(e.allowed_types)}") from e
        except paramiko.AuthenticationException as e:
            if not self.alive:
                raise Unreachable(f"{self.name}: the host broke off the log-in: {e}") from e
            return False
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise Unreachable(f"{self.name}: the host broke off the log-in: {e}") from e
        if further:
            raise Unreachable(f"{self.name}: the host wants a second factor, which can't be given here")
        return True


class SshTransport:
    """``Transport`` over SSH."""

    def __init__(
        self,
        *,
        known_hosts: Sequence[Path],
        keys: Keys,
        connect_timeout: float = 20.0,
        silence: float = 30.0,
        base: str = "",
        boot_file: str = BOOT_FILE,
        **limits: int,
    ) -> None:
        """Times in seconds; ``limits`` are ``ShellSession``'s. Nothing is connected before a session is used."""
        self._settings = Settings(KnownHosts(known_hosts), keys, connect_timeout, silence, base, boot_file, limits)
        self._sessions: dict[tuple[str, str], Session] = {}
        self._known_hosts: dict[str, KnownHosts] = {}
        self._lock = threading.Lock()

    def session(self, host: str, vars: Mapping[str, Any], run: str) -> Session:
        """Beside Ansible's variables three of our own, each for this host.

        ``hisauto_known_hosts``: a path here. ``hisauto_receipts``: a folder there. ``hisauto_shell``: ``none`` where
        there is no POSIX shell, and so no receipts.
        """
        with self._lock:
            if (host, run) not in self._sessions:
                self._sessions[host, run] = self._make(Address.of(host, vars), vars, run)
            return self._sessions[host, run]

    def close(self) -> None:
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _make(self, where: Address, vars: Mapping[str, Any], run: str) -> Session:
        settings = self._settings
        if file := vars.get("hisauto_known_hosts"):
            if file not in self._known_hosts:
                self._known_hosts[file] = KnownHosts([Path(file)])
            settings = replace(settings, known_hosts=self._known_hosts[file])
        if base := vars.get("hisauto_receipts"):
            settings = replace(settings, base=str(base))

        def connect() -> SshConnection:
            return SshConnection(where, settings)

        shell = str(vars.get("hisauto_shell", "posix"))
        if shell == "none":
            return BareSession(connect, where.host)
        if shell != "posix":
            raise Invalid(f"{where.host}: hisauto_shell is {shell!r}; it can be posix or none")
        return ShellSession(
            connect, where.host, run, base=settings.base, boot_file=settings.boot_file, **settings.limits
        )
