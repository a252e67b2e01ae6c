"""Whether a connection's host still answers. TCP can't tell: the kernel of a host whose sshd is frozen acknowledges on.

A host that has been quiet for a third of the time it is given is asked, by a request that every SSH server has to
answer (RFC 4254, 4). Any message from it is a sign of life.
"""

from __future__ import annotations

import math
import socket
import threading
from time import monotonic

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST
from paramiko.packet import Packetizer

from hisauto.transports.channel import Gone

QUESTION = "keepalive@openssh.com"
PACKET = 256 * 1024
"""Bytes of one SSH packet, as OpenSSH has it. The length comes from the host, and paramiko would wait for 4 GiB."""
TICKS = 10
"""Looks in the time that a host is given. They are counted, not timed: a node that was frozen itself asks first."""


class Listening(Packetizer):
    """What a transport reads by: it counts the messages, and asks when none comes."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.heard = 0
        self._transport: paramiko.Transport | None = None
        self._patience = self._ask_at = math.inf

    def ask(self, transport: paramiko.Transport, patience: float) -> None:
        """From now on, whenever nothing has come for ``patience`` seconds."""
        self._patience, self._transport = patience, transport
        self._ask_at = monotonic() + patience

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if not 0 <= n <= PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes, and {PACKET} are the most")
        return super().read_all(n, check_rekey)

    def read_message(self) -> tuple[int, paramiko.Message]:
        message = super().read_message()
        self.heard += 1
        self._ask_at = monotonic() + self._patience
        return message

    def _check_keepalive(self) -> None:
        """paramiko calls it about ten times a second while nothing comes; its own goes by a clock that can be set."""
        # Between key exchanges only: whoever sends in the midst of one waits for what this very thread has to read.
        if self._transport is None or monotonic() < self._ask_at or not self._transport.clear_to_send.is_set():
            return
        self._ask_at = monotonic() + self._patience
        question = paramiko.Message()
        question.add_byte(cMSG_GLOBAL_REQUEST)
        question.add_string(QUESTION)
        question.add_boolean(True)  # an answer is wanted; paramiko's own request would block its only reader
        self._transport._send_user_message(question)  # type: ignore[attr-defined]


class Pulse:
    """Ends a transport whose host has said nothing for ``silence`` seconds, or up to a tenth more.

    By a thread of its own: the transport's may be stuck behind somebody who writes to that host.
    """

    def __init__(self, transport: paramiko.Transport, silence: float) -> None:
        assert isinstance(transport.packetizer, Listening)
        self.lost = False
        self._silence = silence
        self._transport = transport
        self._listening = transport.packetizer
        self._listening.ask(transport, silence / 3)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)
        self._thread.start()

    def gone(self, why: str = "") -> Gone:
        """The error for whoever used the transport: its silence, or else ``why``."""
        return Gone(f"no sign of life from the host for {self._silence:g} s" if self.lost else why)

    def stop(self) -> None:
        """Once the transport is closed."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        heard, quiet = self._listening.heard, 0
        while quiet < TICKS:
            if self._stopped.wait(self._silence / TICKS) or not self._transport.is_active():
                return
            before, heard = heard, self._listening.heard
            quiet = quiet + 1 if heard == before else 0
        self.lost = True
        self._transport.close()
