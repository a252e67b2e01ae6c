"""A frame that was cut short runs nothing; the host's side works in every shell and userland there is here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from hisauto.model.transport import Completed, Fate, Script
from hisauto.transports.channel import Gone, NoShell
from hisauto.transports.local import LocalChannel, LocalTransport
from hisauto.transports.shell import Shell, quote

APPLETS = "sh cat echo env grep head id kill ln ls mkdir mv printf rm setsid sleep strings tail timeout wc"
ENV = {"PATH": os.environ["PATH"]}


class Tape:
    """A channel that keeps the frames instead of sending them, once the shell is up."""

    def __init__(self, channel: LocalChannel) -> None:
        self.channel = channel
        self.kept: bytes | None = None

    def send(self, data: bytes) -> None:
        if self.kept is None:
            self.channel.send(data)
        else:
            self.kept += data

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        return self.channel.receive(timeout)

    def close(self) -> None:
        self.channel.close()


def run_out(shell: Shell) -> None:
    """Until the shell ends."""
    with pytest.raises(Gone):
        shell.reply("never", monotonic() + 20)
    shell.close()


@pytest.mark.parametrize("function", ["act", "probe"])
def test_cut_at_every_byte(tmp_path: Path, function: str) -> None:
    tape = Tape(LocalChannel("exec sh", ENV))
    shell = Shell(tape, str(tmp_path / "base"))
    token = shell.call("open", "run", "id")
    place = shell.reply(token, monotonic() + 10).text
    effect = tmp_path / "effect"
    script = f"echo 'a b' >>{effect}; echo ' .' >>{effect}"
    tape.kept = b""
    if function == "act":
        shell.call("act", "run", "a", 1, place, 9, 1, 1000, script)
    else:
        shell.call("probe", "mark", 9, "inline", script)
    frame = tape.kept
    step = 1 if os.environ.get("HISAUTO_TORTURE") else 5
    # A shell for each cut; the last cut is the frame without its newline, which is whole.
    for at in [*range(1, len(frame) - 1, step), *range(len(frame) - 12, len(frame) - 1)]:
        channel = LocalChannel("exec sh", ENV)
        victim = Shell(channel, str(tmp_path / "base"))
        channel.send(frame[:at])
        channel._stdin.close()
        run_out(victim)
        assert not effect.exists(), frame[:at]
    assert not list((tmp_path / "base").glob("run/a.*"))
    tape.channel.send(frame)
    tape.channel._stdin.close()
    run_out(shell)
    assert effect.read_text() == "a b\n .\n"


@pytest.mark.parametrize("text", ["", "'", "''", "a'b'c", "\\", '$x `y` "z"', "new\nline", "é", "\x01\x7f"])
def test_quote(tmp_path: Path, text: str) -> None:
    channel = LocalChannel("cat >/dev/null; exec printf %s " + quote(text).decode(), ENV)
    channel._stdin.close()
    out = b""
    while (came := channel.receive(5)) is not None:
        out += came[0]
    channel.close()
    assert out.decode() == text


def test_nul_is_no_word() -> None:
    with pytest.raises(ValueError):
        quote("a\0b")


def test_no_shell() -> None:
    with pytest.raises(NoShell, match="not available"):
        Shell(LocalChannel("echo 'This account is not available.'; exit 1", ENV))


@pytest.fixture(params=["dash", "bash", "busybox"])
def userland(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalTransport]:
    """A PATH whose sh is this one; busybox brings all of its own tools, but Debian builds it without flock."""
    found = shutil.which(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    path = f"{folder}:{os.environ['PATH']}"
    if request.param == "busybox":
        for tool in APPLETS.split():
            (folder / tool).symlink_to(found)
        (folder / "flock").symlink_to(str(shutil.which("flock")))
        path = str(folder)
    else:
        (folder / "sh").symlink_to(found)
    transport = LocalTransport(env={"PATH": path}, base=str(tmp_path / "base"), grace=1)
    yield transport
    transport.close()


def test_userland(userland: LocalTransport, tmp_path: Path) -> None:
    session = userland.session("host", {}, "run")
    place = session.place()
    assert place
    plain = Script('echo "$A"; echo err >&2; exit 3', env={"A": "it's"})
    expected = Completed(3, "exit", b"it's\n", b"err\n")
    assert session.probe(plain) == expected
    assert session.act("plain", 1, plain, place).completed == expected
    stubborn = f"trap '' TERM; sleep 60 & setsid sleep 60 & echo go; sleep 60; touch {tmp_path}/late"
    probed = session.probe(Script(stubborn, timeout=0.5))
    assert (probed.how, probed.out) == ("timeout", b"go\n")
    limited = session.act("limited", 1, Script(stubborn, timeout=1), place).completed
    begun = monotonic()
    killed = session.act("killed", 1, Script(stubborn), place, cancelled=lambda: monotonic() > begun + 0.5).completed
    assert limited and limited.how == "timeout" and killed and killed.how == "killed"
    assert monotonic() < begun + 30
    assert session.settle("plain", 2, place).completed == expected
    assert session.settle("never", 2, place).fate is Fate.none
    assert session.act("never", 1, plain, place).fate is Fate.refused
    assert not (tmp_path / "late").exists()
