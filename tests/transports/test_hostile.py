"""A host that lies: what it says is never taken for more than a host may say, and costs the node no memory."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hisauto.errors import Unreachable
from hisauto.model.transport import Completed, Fate, Lost, Receipt, Script, Session
from hisauto.transports import follow
from hisauto.transports import session as sessions
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

from .places import Sshd

LIAR = Path(__file__).with_name("liar.py")
BOUND = 32 << 20
"""Bytes by which the node may grow while a host talks without end: two windows, and what waits of each stream."""
Lying = Callable[[dict[str, Any]], Session]


@pytest.fixture
def host(new_sshd: Callable[..., Sshd], tmp_path: Path) -> tuple[Sshd, Path]:
    lies = tmp_path / "lies"
    return new_sshd(ForceCommand=f"{sys.executable} {LIAR} {lies}"), lies


@pytest.fixture
def lying(host: tuple[Sshd, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lying]:
    monkeypatch.setattr(sessions, "ANSWER", 1.0)
    server, file = host
    transport = SshTransport(known_hosts=[server.known_hosts], keys=Keys([server.key]))

    def make(lies: dict[str, Any]) -> Session:
        file.write_text(json.dumps(lies))
        return transport.session("host-1", server.vars, "run")

    yield make
    transport.close()


ENDS = {
    "an unknown word": ("T succeeded\n", "answered 'succeeded'"),
    "no word": ("T \n", "answered ''"),
    "another's nonce": ("0123456789abcdef01234567 finished 0 exit 1 0 0 0\n", "no answer in time"),
    "too few words": ("T finished 0 exit\n", "with 2 words, not 6"),
    "too many words": ("T finished 0 exit 1 0 0 0 0\n", "with 7 words"),
    "an exit code that is none": ("T finished 4711 exit 1 0 0 0\n", "'4711'"),
    "a negative exit code": ("T finished -1 exit 1 0 0 0\n", "'-1'"),
    "digits that are none": ("T finished ٠ exit 1 0 0 0\n", "not a number"),
    "a way to end that is none": ("T finished 0 laughing 1 0 0 0\n", "ended by 'laughing'"),
    "a boot that is none": ("T finished 0 exit 2 0 0 0\n", "not a number up to 1"),
    "more than was asked for": ("T finished 0 exit 1 0 999999999999 0\n", "not a number up to"),
    "less than nothing": ("T finished 0 exit 1 0 -3 3\n", "'-3'"),
    "a length that is not true": ("T finished 0 exit 1 0 3 0\nabcdef\nT whole\n", "mixed with other output"),
    "no end of its own": ("T finished 0 exit 1 0 3 0\nabc0123456789abcdef01234567 whole\n", "mixed"),
    "NUL": ("T \0\0\0\n", "answered"),
}


@pytest.mark.parametrize("lie", ENDS)
def test_an_end_that_no_host_of_ours_says_is_no_end(lying: Lying, lie: str) -> None:
    """An act is lost, so that its end is asked for; it neither succeeded nor failed. So is the question after it."""
    answer, why = ENDS[lie]
    session = lying({"act": answer, "settle": answer})
    place = session.place()
    with pytest.raises(Lost, match="lost while running step") as lost:
        session.act("step", 1, Script("true", timeout=1), place)
    assert why in str(lost.value)
    with pytest.raises(Lost, match="lost while asking for step"):
        session.settle("step", 1, place)


LOOKS: dict[str, dict[str, Any]] = {
    "an unknown word": {"probe": "T gone\n"},
    "no pid": {"probe": "T begun\nT pid\n"},
    "no exit code": {"probe": "T begun\nT pid 1\nT end zero\n"},
    "an exit code that is none": {"probe": "T begun\nT pid 1\nT end 256\n"},
    "a number that takes long to read": {"probe": f"T begun\nT pid 1\nT end {'9' * 5000}\n"},
    "an end on one stream only": {"probe": {"now": "T begun\nT pid 1\nT end 0\n", "then": "ends"}},
}


@pytest.mark.parametrize("lie", LOOKS)
def test_a_look_that_is_lied_to_is_lost(lying: Lying, lie: str) -> None:
    with pytest.raises(Lost, match="lost while running a command"):
        lying(LOOKS[lie]).probe(Script("true", timeout=1))


@pytest.mark.parametrize("answer", ["T place\n", "T place a\x1b[2Jb\n", "T finished\n", f"T place {'x' * 300}\n"])
def test_a_place_that_is_none_is_lost(lying: Lying, answer: str) -> None:
    """In particular it isn't taken for a host that keeps no receipts."""
    with pytest.raises(Lost, match="opening its receipts"):
        lying({"open": answer}).place()


@pytest.mark.parametrize("ready", ["T ready 1\n", "T ready 1 2 3\n"])
def test_a_shell_that_does_not_say_which_it_is_is_none(lying: Lying, ready: str) -> None:
    with pytest.raises(Unreachable):
        lying({"ready": ready}).probe(Script("true"))


def test_what_is_left_to_show_may_have_no_end(lying: Lying, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was cut, so the rest is fetched to be shown; and there is always more of it."""
    monkeypatch.setattr(follow, "REST", 0.5)
    monkeypatch.setattr(follow, "MOST", 1)
    session = lying({"act": "T finished 0 exit 1 1 0 0\nT whole\n", "tail": "T part 1 0\nxT whole\n"})
    seen = bytearray()
    receipt = session.act("step", 1, Script("true"), session.place(), on_output=lambda _, data: seen.extend(data))
    assert receipt == Receipt(Fate.finished, Completed(0, "exit", truncated=True))
    assert seen.strip(b"x") == b"" and seen


WITHOUT_END = {
    "login": {"login": {"out": "noise\n"}},
    "login, on stderr": {"login": {"err": "noise\n"}},
    "a shell's number": {"ready": {"now": "T ready 1", "out": "1"}},
    "a line": {"act": {"now": "T finished ", "out": "9"}},
    "lines": {"act": {"out": "who asked\n"}},
    "lines, on stderr": {"act": {"err": "who asked\n"}},
    "a stream": {"act": {"now": "T finished 0 exit 1 0 3 0\n", "out": "x"}},
    "a look's output": {"probe": {"now": "T begun\nT pid 1\n", "out": "y\n"}},
    "a look's output, on stderr, behind its end": {"probe": {"now": "T begun\nT pid 1\n", "err": "y\n"}},
}
NODE = """
import json, sys
from pathlib import Path
from hisauto.errors import Unreachable
from hisauto.model.transport import Lost, Script
from hisauto.transports import session, shell
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

known, key, port, user, file, every = sys.argv[1:]
session.ANSWER = 1.0
shell.Shell.__init__.__defaults__ = (*shell.Shell.__init__.__defaults__[:-1], 1.5)

def peak():  # not getrusage's, which begins with that of whoever started us
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

def said(lies):
    Path(file).write_text(json.dumps(lies))
    transport = SshTransport(known_hosts=[Path(known)], keys=Keys([Path(key)]))
    host = transport.session("h", {"ansible_host": "127.0.0.1", "ansible_port": port, "ansible_user": user}, "run")
    try:
        if "probe" in lies:
            return host.probe(Script("true", timeout=0.5)).how
        return host.act("step", 1, Script("true", timeout=1), host.place()).fate
    except (Unreachable, Lost) as e:
        return f"no result: {e}"[:300]
    finally:
        transport.close()

said({"act": "T died\\n"})
before = peak()
for name, lies in json.loads(every).items():
    print(json.dumps([name, said(lies), peak() - before]), flush=True)
"""


@pytest.mark.timeout(180)
def test_endless_talk_ends_and_costs_no_memory(host: tuple[Sshd, Path]) -> None:
    server, file = host
    words = [server.known_hosts, server.key, str(server.port), server.vars["ansible_user"], file]
    node = subprocess.run([sys.executable, "-c", NODE, *words, json.dumps(WITHOUT_END)], capture_output=True,
                          check=False, timeout=170)  # fmt: skip
    assert not node.stderr, node.stderr.decode()
    found = [json.loads(line) for line in node.stdout.splitlines()]
    assert [name for name, _, _ in found] == list(WITHOUT_END)
    assert not [found for found in found if not found[1].startswith("no result: ")]
    assert max(grown for _, _, grown in found) < BOUND, found


@pytest.mark.parametrize(
    ("said", "why"), [(b"SSH-2.0-liar\r\n\x7f\xff\xff\xfc", "a packet of 21474"), (b"no line end", "no SSH there")]
)
def test_a_packet_without_end_is_not_waited_for(tmp_path: Path, said: bytes, why: str) -> None:
    """What talks at the port need not be SSH at all."""
    (tmp_path / "known").touch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        talk = threading.Thread(target=talking, args=(listener, said), daemon=True)
        talk.start()
        transport = SshTransport(known_hosts=[tmp_path / "known"], keys=Keys([]), connect_timeout=1.0)
        at = {"ansible_host": "127.0.0.1", "ansible_port": listener.getsockname()[1]}
        with pytest.raises(Unreachable, match=why):
            transport.session("h", at, "run").probe(Script("true"))
        talk.join(10)
        assert not talk.is_alive()
        transport.close()


def talking(listener: socket.socket, said: bytes) -> None:
    """To whoever calls, for as long as they listen."""
    caller, _ = listener.accept()
    with caller:
        try:
            caller.sendall(said)
            while True:
                caller.sendall(b"x" * 65536)
        except OSError:
            return
