"""A syslog server, as RFC 5424 has it: over TCP (RFC 6587), UDP (RFC 5426) or a local socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from hisauto.audit.published import in_syslog
from hisauto.clock import Clock, stamp
from hisauto.errors import HisautoError

PORT = 514
_PATIENCE = 5.0
"""Seconds to connect, and for the server to take what was sent."""
_PRIORITY = 13 * 8 + 5  # log audit, notice


def message(note: str, at: str, host: str) -> bytes:
    """One checkpoint. Its message id tells filters what it is: in rsyslog ``:msgid, isequal, "checkpoint"``."""
    return f"<{_PRIORITY}>1 {at} {host} hisauto {os.getpid()} checkpoint - {in_syslog(note)}".encode("ascii")


class SyslogPlace:
    """Over TCP a batch counts as published once the server has read it to its end; else it is only sent."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.name = " ".join(("syslog", url))
        self._clock = clock
        self._url = urlsplit(url)
        self.answers = self._url.scheme == "tcp"

    def append(self, notes: Sequence[str]) -> None:
        host = socket.gethostname().encode("ascii", "replace").decode()[:255] or "-"
        messages = [message(one, stamp(self._clock.now()), host) for one in notes]
        send: Callable[[list[bytes]], None]
        send = {"tcp": self._tcp, "udp": self._udp, "unix": self._unix}[self._url.scheme]
        try:
            send(messages)
        except OSError as error:
            raise HisautoError(f"{self.name} does not take it: {error.strerror or error}") from error

    def read(self) -> str | None:
        return None

    def close(self) -> None:
        pass

    @property
    def _address(self) -> tuple[str, int]:
        return (self._url.hostname or "", self._url.port or PORT)

    def _tcp(self, messages: list[bytes]) -> None:
        with socket.create_connection(self._address, _PATIENCE) as server:
            server.sendall(b"".join(b"%d %s" % (len(one), one) for one in messages))
            # Syslog has no acknowledgement. That the server closes after our end shows that it has read till there.
            server.shutdown(socket.SHUT_WR)
            try:
                while server.recv(4096):
                    pass
            except TimeoutError:
                raise HisautoError(f"{self.name} did not take it within {_PATIENCE:g} s: nobody knows") from None

    def _udp(self, messages: list[bytes]) -> None:
        family, kind, proto, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as out:
            for one in messages:
                out.sendto(one, address)

    def _unix(self, messages: list[bytes]) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(_PATIENCE)
            out.connect(self._url.path)
            for one in messages:
                out.send(one)
