"""SSH by paramiko: one transport a host and run, kept across steps; a session's shells are channels on it."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paramiko

from hisauto.errors import HostKeyMismatch, Invalid, Unreachable
from hisauto.model.transport import Session
from hisauto.transports.address import Address, Lookup
from hisauto.transports.bare import BareSession
from hisauto.transports.channel import Channel
from hisauto.transports.jumps import Jumps
from hisauto.transports.keys import Keys
from hisauto.transports.known_hosts import KnownHosts, fingerprint
from hisauto.transports.pulse import Listening, Pulse
from hisauto.transports.session import ShellSession
from hisauto.transports.shell import BOOT_FILE

# paramiko logs, with tracebacks, what it also raises; the line that matters is our error's.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

SEND = 60.0
"""Seconds a host may leave what we write unread."""
FIRST_CIPHER = "aes128-gcm@openssh.com"
"""The fastest one where the processor knows AES; all others stay on offer, in their order."""
RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class Settings:
    """What all connections share."""

    known_hosts: KnownHosts
    keys: Keys
    connect_timeout: float = 20.0
    """Seconds for the TCP connection; the key exchange and the log-in, which cost a busy host time, get twice that."""
    silence: float = 30.0
    """Seconds without a sign of life from the host after which the connection counts as lost; see ``Pulse``."""
    base: str = ""
    """The folder for receipts on hosts; empty: each host's own choice."""
    boot_file: str = BOOT_FILE
    limits: Mapping[str, int] = field(default_factory=dict)
    """``cap`` and ``grace`` of ``ShellSession``."""


class SshChannel:
    """One channel of a transport."""

    def __init__(self, channel: paramiko.Channel, pulse: Pulse) -> None:
        self._channel = channel
        self._pulse = pulse
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise self._pulse.gone(str(e) or "the channel is closed") from e

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        channel = self._channel
        # Asked first: what came before the end is then still read.
        ended = channel.closed or channel.eof_received or channel.exit_status_ready()
        if not (channel.recv_ready() or channel.recv_stderr_ready()):
            if ended and self._pulse.lost:
                raise self._pulse.gone()
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

    def __init__(self, where: Address, settings: Settings, jumps: Jumps[SshConnection]) -> None:
        """Raises ``Unreachable`` and ``HostKeyMismatch``."""
        self.name = f"{where} by way of {where.jump}" if where.jump else str(where)
        self._where = where
        self._settings = settings
        self._leave = threading.Lock()
        self._jumps = jumps
        sock = self._tunnel(where.jump) if where.jump else self._dial()
        try:
            self._transport = self._start(sock)
        except BaseException:
            self._leave_jump()
            raise
        try:
            self._check_host()
            self._log_in()
        except BaseException:
            self._transport.close()
            self._leave_jump()
            raise
        self._pulse = Pulse(self._transport, settings.silence)

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
            raise self._pulse.gone(str(e) or "the connection is closed") from e
        return SshChannel(channel, self._pulse)

    def close(self) -> None:
        self._transport.close()
        self._pulse.stop()
        self._leave_jump()

    def forward(self, address: str, port: int) -> paramiko.Channel:
        """A channel to another host, opened by this one. Raises ``SSHException`` or ``Unreachable``."""
        limit = self._settings.connect_timeout
        return self._transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=limit)

    def _tunnel(self, jump: Address) -> paramiko.Channel:
        """By way of the jump host, whose connection is kept until ``_leave_jump``."""
        try:
            by = self._jumps.take(jump)
        except HostKeyMismatch as e:
            raise HostKeyMismatch(f"{self._where}: its jump host is another one: {e}", hint=e.hint) from e
        except Unreachable as e:
            raise Unreachable(f"{self._where}: its jump host can't be reached: {e}", hint=e.hint) from e
        try:
            return by.forward(self._where.address, self._where.port)
        except paramiko.ChannelException as e:
            self._leave_jump()
            forbidden = e.code == paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
            why = "it forbids forwarding (AllowTcpForwarding)" if forbidden else "no connection from there"
            raise Unreachable(f"{self.name}: {why}: {e.text}") from e
        except (OSError, EOFError, paramiko.SSHException) as e:
            self._leave_jump()
            raise Unreachable(f"{self.name}: no connection from there: {e}") from e

    def _leave_jump(self) -> None:
        if self._where.jump is not None and self._leave.acquire(blocking=False):  # once
            self._jumps.leave(self._where.jump)

    def _dial(self) -> socket.socket:
        where, settings = self._where, self._settings
        try:
            sock = socket.create_connection((where.address, where.port), settings.connect_timeout)
        except OSError as e:
            raise Unreachable(f"{self.name}: no connection: {e.strerror or e}") from e
        # paramiko leaves Nagle's algorithm on. What was sent to a lost host is given up by the kernel as well as by us.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.silence * 1000))
        return sock

    def _start(self, sock: socket.socket | paramiko.Channel) -> paramiko.Transport:
        where, limit = self._where, 2 * self._settings.connect_timeout
        transport = paramiko.Transport(
            sock, default_window_size=1 << 21, default_max_packet_size=1 << 15, packetizer_class=Listening
        )
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
        lookup: Lookup | None = None,
        connect_timeout: float = 20.0,
        silence: float = 30.0,
        base: str = "",
        boot_file: str = BOOT_FILE,
        **limits: int,
    ) -> None:
        """Times in seconds; ``lookup`` finds jump hosts in the inventory; ``limits`` are ``ShellSession``'s.

        Nothing is connected before a session is used.
        """
        self._settings = Settings(KnownHosts(known_hosts), keys, connect_timeout, silence, base, boot_file, limits)
        self._lookup = lookup
        self._sessions: dict[tuple[str, str], Session] = {}
        self._known_hosts: dict[Path, KnownHosts] = {}
        self._lock = threading.Lock()
        self._jumps: Jumps[SshConnection] = Jumps(self._connect)

    def session(self, host: str, vars: Mapping[str, Any], run: str) -> Session:
        """Beside Ansible's variables four of our own, each for this host.

        ``hisauto_known_hosts``: a path here. ``hisauto_receipts``: a folder there. ``hisauto_jump``: a host by way of
        which it is reached. ``hisauto_shell``: ``none`` where there is no POSIX shell, and so no receipts.
        """
        with self._lock:
            if (host, run) not in self._sessions:
                self._sessions[host, run] = self._make(Address.of(host, vars, self._lookup), vars, run)
            return self._sessions[host, run]

    def close(self) -> None:
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _connect(self, where: Address) -> SshConnection:
        return SshConnection(where, replace(self._settings, known_hosts=self._known(where)), self._jumps)

    def _known(self, where: Address) -> KnownHosts:
        if where.known_hosts is None:
            return self._settings.known_hosts
        with self._lock:
            if where.known_hosts not in self._known_hosts:
                self._known_hosts[where.known_hosts] = KnownHosts([where.known_hosts])
            return self._known_hosts[where.known_hosts]

    def _make(self, where: Address, vars: Mapping[str, Any], run: str) -> Session:
        settings = self._settings
        shell = str(vars.get("hisauto_shell", "posix"))
        if shell == "none":
            return BareSession(lambda: self._connect(where), where.host)
        if shell != "posix":
            raise Invalid(f"{where.host}: hisauto_shell is {shell!r}; it can be posix or none")
        return ShellSession(
            lambda: self._connect(where), where.host, run, base=str(vars.get("hisauto_receipts") or settings.base),
            boot_file=settings.boot_file, **settings.limits,
        )  # fmt: skip
