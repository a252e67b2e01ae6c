"""The client's side of one persistent POSIX shell: frames out, answers in, one frame at a time.

An answer begins with its frame's nonce. The output of an act is framed by its length, that of a probe ends with the
nonce on both streams; the host's side is ``receipts.sh`` and ``worker.sh``.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from hisauto.transports.channel import Channel, Gone, NoShell

NOISE = 1 << 20
"""Bytes of a login shell's own output that are passed over before the shell answers."""
LINE = 1 << 16
"""Bytes of one line of answer. A host that says more is no host of ours."""
ROOM = 4 << 20
"""Bytes of a stream that may wait while something else is read."""
TOLD = 1 << 12
"""Bytes at the end of what came instead of a shell that are looked through for the reason."""

Stream = Literal["out", "err"]
Tick = Callable[[], None]


def host_text(name: str) -> str:
    """A shell file of this package without its comments: what goes over the wire."""
    lines = files("hisauto.transports").joinpath(name).read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in lines if line.strip() and not line.lstrip().startswith("# "))


RECEIPTS = host_text("receipts.sh")
WORKER = host_text("worker.sh")
BOOT_FILE = "/proc/sys/kernel/random/boot_id"


def quote(text: str | bytes) -> bytes:
    """One single-quoted word of a POSIX shell. Raises ``ValueError`` for NUL, which no shell can hold."""
    data = text.encode() if isinstance(text, str) else text
    if b"\0" in data:
        raise ValueError("a shell word can't hold NUL")
    return b"'" + data.replace(b"'", b"'\\''") + b"'"


def nonce() -> str:
    """96 random bits: nothing that runs on the host can guess what closes its output."""
    return secrets.token_hex(12)


@dataclass(frozen=True)
class Reply:
    """One line of answer after its nonce."""

    word: str
    rest: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.rest)

    def fields(self, count: int) -> tuple[str, ...]:
        """Exactly so many words. Raises ``Gone``: what answers is not what we sent there."""
        if len(self.rest) != count:
            raise Gone(f"the host answered {self.word[:40]!r} with {len(self.rest)} words, not {count}")
        return self.rest


def number(text: str, most: int) -> int:
    """A number that a host said, from 0 to ``most``. Raises ``Gone`` for anything else: it may be a lie."""
    if not re.fullmatch("[0-9]{1,15}", text) or int(text) > most:
        raise Gone(f"the host answered {text[:40]!r}, and not a number up to {most}")
    return int(text)


class Kept:
    """The beginning of a stream, up to a limit; the rest is counted out."""

    def __init__(self, limit: int, pass_on: Callable[[bytes], None] | None = None) -> None:
        self.data = bytearray()
        self.truncated = False
        self._limit = limit
        self._pass_on = pass_on

    def add(self, piece: bytes) -> None:
        room = self._limit - len(self.data)
        self.data += piece[:room]
        self.truncated |= len(piece) > room
        if self._pass_on and piece:
            self._pass_on(piece)


class Shell:
    """One shell on one channel. Not thread-safe. Any method may raise ``Gone``; the shell is then of no more use."""

    def __init__(self, channel: Channel, base: str = "", boot_file: str = BOOT_FILE, patience: float = 30.0) -> None:
        """Sends the host's side and waits up to ``patience`` seconds. Raises ``NoShell`` when none answers."""
        self._channel = channel
        self._buffers: dict[Stream, bytearray] = {"out": bytearray(), "err": bytearray()}
        ready = nonce()
        out, err = Kept(NOISE), Kept(NOISE)
        try:
            channel.send(
                b"HI_WORKER=%b HI_BASE=%b HI_BOOT_FILE=%b\n" % (quote(WORKER), quote(base), quote(boot_file))
                + RECEIPTS.encode()
                + b'echo "%b ready $$ $HI_BORN"; echo "%b" >&2\n' % (ready.encode(), ready.encode())
            )
            deadline = time.monotonic() + patience
            self._until(f"{ready} ready ".encode(), f"{ready}\n".encode(), deadline, out, err)
            pid, born = Reply("ready", tuple(self._line(deadline).split())).fields(2)
            while not self._drain("err", f"{ready}\n".encode(), err):
                self._fill(deadline)
        except Gone:
            came = err.data, self._buffers["err"], out.data, self._buffers["out"], self._last_words()
            said = b"".join(text[-TOLD:] for text in came)
            channel.close()
            raise NoShell(" ".join(said[-TOLD:].decode(errors="replace").split())[-300:]) from None
        self.process = (pid, born)
        """Pid and start time of the shell on the host."""

    def call(self, function: str, *args: str | int | bytes) -> str:
        """Send one frame; its nonce, by which ``reply`` finds the answer."""
        token = nonce()
        words = [quote(arg if isinstance(arg, bytes) else str(arg)) for arg in args]
        self._channel.send(b" ".join([f"hi_{function} {token}".encode(), *words, b".\n"]))
        return token

    def reply(
        self, token: str, deadline: float, tick: Tick | None = None, before: tuple[Kept, Kept] | None = None
    ) -> Reply:
        """The next line of answer. ``tick`` is called about every tenth of a second while there is none.

        ``before`` gets what comes ahead of it on both streams; without, that is nobody's and is dropped.
        """
        out, err = before or (Kept(0), Kept(0))
        self._until(f"{token} ".encode(), f"{token}\n".encode(), deadline, out, err, tick)
        word, *rest = self._line(deadline).split() or [""]
        return Reply(word, tuple(rest))

    def streams(self, token: str, out: int, err: int, deadline: float) -> tuple[bytes, bytes]:
        """Two counted pieces and the line that closes them."""
        while len(self._buffers["out"]) < out + err:
            self._fill(deadline, room=out + err + ROOM)
        both = self._take("out", out + err)
        if self._line(deadline) != f"{token} whole":  # someone else wrote to our stream: nothing in it can be trusted
            raise Gone("the answer was mixed with other output")
        return both[:out], both[out:]

    def raw(self, token: str, out: Kept, err: Kept, deadline: float, tick: Tick) -> int:
        """A probe's output as it comes, and its exit code."""
        end, mark = f"{token} end ".encode(), f"{token}\n".encode()
        rc: int | None = None
        while True:
            if rc is None and self._drain("out", end, out):
                rc = number(self._line(deadline), 255)
            if self._drain("err", mark, err, keep=rc is None) and rc is not None:
                return rc
            self._fill(deadline, tick)

    def close(self) -> None:
        self._channel.close()

    def _last_words(self) -> bytes:
        """Why there is no shell, in the words of whatever ended instead of starting one."""
        words, deadline = b"", time.monotonic() + 1.0
        while time.monotonic() < deadline and (came := self._channel.receive(0.2)) is not None:
            words = (words + came[1] + came[0])[-NOISE:]
        return words

    def _fill(self, deadline: float, tick: Tick | None = None, room: int = ROOM) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Gone("no answer in time")
        came = self._channel.receive(min(left, 0.1 if tick else 5.0))
        if came is None:
            raise Gone("the shell ended")
        self._buffers["out"] += came[0]
        self._buffers["err"] += came[1]
        if max(map(len, self._buffers.values())) > room:
            raise Gone("the host says more than it was asked for")
        if tick:
            tick()

    def _drain(self, stream: Stream, mark: bytes, sink: Kept, keep: bool = False) -> bool:
        """Hand on what can't be the mark; true when it is there (and, unless ``keep``, taken)."""
        buffer = self._buffers[stream]
        at = buffer.find(mark)
        sink.add(self._take(stream, at if at >= 0 else max(0, len(buffer) - len(mark) + 1)))
        if at >= 0 and not keep:
            self._take(stream, len(mark))
        return at >= 0

    def _until(
        self, mark: bytes, aside: bytes, deadline: float, out: Kept, err: Kept, tick: Tick | None = None
    ) -> None:
        """Up to a mark on the output; what comes beside it, on the other stream, waits nowhere but behind its own."""
        while not self._drain("out", mark, out):
            self._drain("err", aside, err, keep=True)
            self._fill(deadline, tick)

    def _line(self, deadline: float) -> str:
        while (at := self._buffers["out"].find(b"\n")) < 0 and len(self._buffers["out"]) <= LINE:
            self._fill(deadline)
        if not 0 <= at <= LINE:
            raise Gone("the host's answer has no end")
        return self._take("out", at + 1)[:-1].decode(errors="replace")

    def _take(self, stream: Stream, count: int) -> bytes:
        buffer = self._buffers[stream]
        data = bytes(memoryview(buffer)[:count])
        del buffer[:count]
        return data
