"""One host for one run, over shells: probes, acts under receipts, and asking what became of them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Literal, cast
from urllib.parse import quote as percent

from hisauto.errors import Invalid, Refused, Unreachable
from hisauto.model.transport import Completed, Fate, Lost, OnOutput, Receipt, Script
from hisauto.transports.channel import Connection, Gone
from hisauto.transports.follow import Follow
from hisauto.transports.pool import Shells
from hisauto.transports.shell import BOOT_FILE, Kept, Reply, Shell, nonce, number, quote

CAP = 8 << 20
"""Bytes of each stream that a result keeps."""
GRACE = 1
"""Seconds between TERM and KILL."""
ANSWER = 60.0
"""Seconds that a host may take for an answer that needs no waiting."""
INLINE = 100_000
"""Bytes of a probe's script that go through its environment (Linux: 128 KiB a string); longer ones need a file."""

_PLACE = re.compile(r"[!-~]{1,200}")
_WORDS = {"nospace": Fate.no_space, "without": Fate.no_receipts}


class ShellSession:
    """``Session`` over a connection that gives POSIX shells."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        run: str,
        *,
        base: str = "",
        boot_file: str = BOOT_FILE,
        cap: int = CAP,
        grace: int = GRACE,
    ) -> None:
        """``base`` is the host's folder for receipts (empty: the host chooses), ``cap`` in bytes, ``grace`` in s."""
        self.name = name
        self._folder = f"{file_name(run)}@{file_name(name)}"
        self._cap = cap
        self._grace = grace
        self._places: dict[str | None, tuple[Connection, str | None]] = {}
        self._shells = Shells(connect, lambda c, command: Shell(c.open(command), base, boot_file))

    def place(self, become: str | None = None) -> str | None:
        connection = self._shells.connection()
        known = self._places.get(become)
        if known and known[0] is connection:
            return known[1]
        with self._shells.take(become) as shell, self._sent("opening its receipts"):
            token = shell.call("open", self._folder, nonce())
            reply = shell.reply(token, monotonic() + ANSWER)
            if reply.word not in ("place", "without", "unusable") or (
                reply.word == "place" and not _PLACE.fullmatch(reply.text)
            ):
                raise Gone(f"the host answered {reply.word[:40]!r}")
        if reply.word == "unusable":
            raise Refused(
                f"{self.name}: no receipt can be kept there, so nothing was started: {reply.text}",
                hint="make the folder writable for the login user, or name another in the variable hisauto_receipts",
            )
        place = reply.text if reply.word == "place" else None
        self._places[become] = (connection, place)
        return place

    def probe(
        self, script: Script, *, on_output: OnOutput | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Completed:
        mark, limit = nonce(), script.timeout
        text = script_bytes(script)
        how: Literal["exit", "timeout", "killed"] = "exit"
        deadline = math.inf
        pid, rc = "", 0
        out = Kept(self._cap, on_output and (lambda data: on_output("out", data)))
        err = Kept(self._cap, on_output and (lambda data: on_output("err", data)))

        def tick() -> None:
            nonlocal how
            if how == "exit" and ((stop := bool(cancelled and cancelled())) or monotonic() >= deadline):
                how = "killed" if stop else "timeout"
                self._end_probe(script.become, mark, pid)

        with self._shells.take(script.become) as shell, self._sent("running a command"):
            token = shell.call(
                "probe", mark, math.ceil(limit) + self._grace + 15, "inline" if len(text) < INLINE else "file", text
            )
            word = shell.reply(token, monotonic() + ANSWER).word
            if word == "begun":
                # A quick command writes before the shell has said its pid.
                (pid,) = shell.reply(token, monotonic() + ANSWER, before=(out, err)).fields(1)
                deadline = monotonic() + limit
                rc = shell.raw(token, out, err, deadline + self._grace + ANSWER, tick)
            elif word != "nospace":
                raise Gone(f"the host answered {word[:40]!r}")
        if not pid:
            raise Unreachable(f"{self.name}: no room for the script in the host's temporary folder; nothing ran")
        return Completed(rc, how, bytes(out.data), bytes(err.data), out.truncated or err.truncated)

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
        if place is None:
            return Receipt(Fate.finished, self.probe(script, on_output=on_output, cancelled=cancelled))
        limit = max(1, math.ceil(script.timeout))
        text = script_bytes(script)
        follow = self._follow(attempt, epoch, place, script.become, on_output, cancelled)
        with self._shells.take(script.become) as shell, self._sent(f"running {attempt}"):
            token = shell.call(
                "act", self._folder, file_name(attempt), epoch, place, limit, self._grace, self._cap, text
            )
            reply = shell.reply(token, monotonic() + ANSWER)
            if reply.word == "started":
                reply = shell.reply(token, monotonic() + limit + self._grace + ANSWER, follow.tick)
            receipt = None if reply.word == "exists" else self._receipt(shell, token, reply, script.become, self._cap)
            follow.finish(receipt)
        if receipt is None:  # claimed before: say what became of it
            return self.settle(attempt, epoch, place, become=script.become)
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
        if place is None:
            return Receipt(Fate.no_receipts, why="it was run without a receipt")
        follow = self._follow(attempt, epoch, place, become, on_output, cancelled)
        until = monotonic() + wait
        while True:
            left = max(0.0, until - monotonic())
            naps = math.ceil(min(left, 1.0) * 20)
            receipt = self._settle(attempt, epoch, place, become, naps, kill, follow)
            if receipt.fate is not Fate.running or kill or not left:
                return receipt

    def forget(self, epoch: int) -> None:
        for become in list(self._places):
            try:
                with self._shells.take(become) as shell, self._sent("forgetting"):
                    token = shell.call("forget", self._folder, epoch, nonce())
                    shell.reply(token, monotonic() + ANSWER)
            except Unreachable:
                pass  # a receipt that stays does no harm
            self._places.pop(become, None)

    def close(self) -> None:
        self._shells.close()

    def _settle(
        self, attempt: str, epoch: int, place: str, become: str | None, naps: int, kill: bool, follow: Follow | None
    ) -> Receipt:
        """Asked beside whatever else waits when there is nothing to ``follow``: a killer must not queue."""
        with self._shells.take(become, side=follow is None) as shell, self._sent(f"asking for {attempt}"):
            cap = 0 if follow is None else self._cap
            token = shell.call(
                "settle", self._folder, file_name(attempt), epoch, place, naps, int(kill), self._grace, cap
            )
            deadline = monotonic() + self._grace + ANSWER
            reply = shell.reply(token, deadline, follow.tick if follow else None)
            receipt = self._receipt(shell, token, reply, become, cap)
            if follow:
                follow.finish(receipt)
            return receipt

    def _follow(
        self,
        attempt: str,
        epoch: int,
        place: str,
        become: str | None,
        on_output: OnOutput | None,
        cancelled: Callable[[], bool] | None,
    ) -> Follow:
        def read(out: int, err: int, most: int) -> tuple[bytes, bytes]:
            with self._shells.take(become, side=True) as shell:
                token = shell.call("tail", self._folder, file_name(attempt), out, err, most)
                deadline = monotonic() + ANSWER
                reply = shell.reply(token, deadline)
                counts = [number(text, most) for text in reply.fields(2)]
                return shell.streams(token, counts[0], counts[1], deadline)

        def kill() -> None:
            self._settle(attempt, epoch, place, become, 0, True, None)

        return Follow(read, kill, on_output, cancelled)

    def _end_probe(self, become: str | None, mark: str, pid: str) -> None:
        with self._shells.take(become, side=True) as shell:
            token = shell.call("end", mark, pid, self._grace)
            if shell.reply(token, monotonic() + self._grace + ANSWER).word != "ended":
                raise Gone("it could not be ended")

    def _receipt(self, shell: Shell, token: str, reply: Reply, become: str | None, cap: int) -> Receipt:
        if reply.word == "finished":
            rc, how, same, cut, out, err = reply.fields(6)
            if how not in ("exit", "timeout", "killed"):
                raise Gone(f"the host answered that it ended by {how[:40]!r}")
            kind = cast(Literal["exit", "timeout", "killed"], how)
            code, same_boot, truncated = number(rc, 255), number(same, 1) == 1, number(cut, 1) == 1
            data = shell.streams(token, number(out, cap), number(err, cap), monotonic() + ANSWER)
            return Receipt(Fate.finished, Completed(code, kind, *data, truncated=truncated), same_boot=same_boot)
        try:
            fate = _WORDS.get(reply.word) or Fate(reply.word)
        except ValueError:
            raise Gone(f"the host answered {reply.word[:40]!r}") from None
        if fate is Fate.moved:
            self._places.pop(become, None)  # ours may be the one that is out of date
        return Receipt(fate, why=reply.text)

    @contextmanager
    def _sent(self, doing: str) -> Iterator[None]:
        """From here on something was sent: whatever goes wrong, its end is not known."""
        try:
            yield
        except Lost:
            raise
        except (Gone, Unreachable) as e:
            raise Lost(f"{self.name}: lost while {doing}: {e}") from e


def script_bytes(script: Script) -> bytes:
    """The script with its environment, as it goes over the wire: never through an argument list.

    Raises ``Invalid`` for a name that a shell can't hold, or a NUL.
    """
    for name in script.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Invalid(f"{name!r} can't be the name of an environment variable")
    try:
        exports = [b"export %b=%b\n" % (name.encode(), quote(value)) for name, value in script.env.items()]
    except ValueError:
        raise Invalid("an environment variable can't hold NUL") from None
    if "\0" in script.text:
        raise Invalid("a script can't hold NUL")
    return b"".join(exports) + script.text.encode()


def file_name(text: str) -> str:
    """A name that any file system takes, different for different texts."""
    name = percent(text, safe="")
    return name if len(name) <= 100 else f"{name[:60]}%{hashlib.sha256(text.encode()).hexdigest()[:32]}"
