"""Each kind of place as it is: a file, a host behind a real sshd, a syslog server behind each kind of socket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hisauto.audit import checkpoint
from hisauto.audit.published import notes
from hisauto.clock import SystemClock
from hisauto.errors import HisautoError
from hisauto.model.transport import Session
from hisauto.publish.file import FilePlace
from hisauto.publish.host import HostPlace
from hisauto.publish.place import Place
from hisauto.publish.syslog import SyslogPlace, message
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

from ..audit.logs import AT, KEY, SITE, grown
from ..transports.places import Sshd, start_sshd, stop_sshd

ONE, TWO, THREE = (checkpoint.sign(grown(size).head, SITE, AT, KEY) for size in (3, 5, 9))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)


@pytest.fixture
def transport(sshd: Sshd) -> Iterator[SshTransport]:
    made = SshTransport(known_hosts=[sshd.known_hosts], keys=Keys([sshd.key], agent=False), connect_timeout=2.0)
    yield made
    made.close()


def on_host(path: Path, sshd: Sshd, transport: SshTransport) -> HostPlace:
    return HostPlace("log1", str(path), lambda: transport.session("log1", sshd.vars, "publish"))


@pytest.fixture(params=["file", "host"])
def make(request: pytest.FixtureRequest, sshd: Sshd, transport: SshTransport) -> Callable[[Path], Place]:
    if request.param == "file":
        return lambda path: FilePlace(str(path), path)
    return lambda path: on_host(path, sshd, transport)


def test_what_is_appended_is_read_back(make: Callable[[Path], Place], tmp_path: Path) -> None:
    place = make(tmp_path / "it's a file")
    assert place.answers and place.read() == ""
    place.append([ONE, TWO])
    place.append([THREE])
    assert notes(place.read() or "") == [ONE, TWO, THREE]
    assert (tmp_path / "it's a file").read_text() == f"{ONE}\n{TWO}\n{THREE}\n", "the same for whoever reads it"
    place.close()


@pytest.mark.parametrize("kept", [1, 20, len(ONE.encode()) - 40, len(ONE.encode()) - 1])
def test_one_that_was_torn_is_followed_by_a_whole_one(make: Callable[[Path], Place], tmp_path: Path, kept: int) -> None:
    path = tmp_path / "checkpoints"
    path.write_bytes(f"{THREE}\n".encode() + ONE.encode()[:kept])
    place = make(path)
    place.append([ONE, TWO])
    assert list(dict.fromkeys(notes(place.read() or ""))) == [THREE, ONE, TWO]
    place.close()


def test_a_place_that_can_not_be_written_says_so(make: Callable[[Path], Place], tmp_path: Path) -> None:
    place = make(tmp_path / "missing" / "checkpoints")
    with pytest.raises(HisautoError, match=r"can't be (used|written): .*(No such file|nonexistent)"):
        place.append([ONE])
    (tmp_path / "missing").mkdir()
    place.append([ONE])
    assert notes(place.read() or "") == [ONE], "the same place, once that was put right"
    place.close()


def test_a_full_disk_is_not_taken_for_published(make: Callable[[Path], Place]) -> None:
    place = make(Path("/dev/full"))
    with pytest.raises(HisautoError, match=r"No space left|write error|I/O error"):
        place.append([ONE])
    place.close()


def test_much_is_read_in_pieces(
    sshd: Sshd, transport: SshTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hisauto.publish.host._PIECE", 100)
    place = on_host(tmp_path / "checkpoints", sshd, transport)
    place.append([ONE, TWO, THREE])
    assert notes(place.read() or "") == [ONE, TWO, THREE]
    place.close()


def test_a_host_with_another_key_gets_nothing(sshd: Sshd, tmp_path: Path) -> None:
    kind = (sshd.folder / "client.pub").read_text().split()[:2]  # some other key
    (tmp_path / "known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {' '.join(kind)}\n")
    made = SshTransport(known_hosts=[tmp_path / "known_hosts"], keys=Keys([sshd.key], agent=False))
    place = on_host(tmp_path / "checkpoints", sshd, made)
    with pytest.raises(HisautoError, match="key"):
        place.append([ONE])
    assert not (tmp_path / "checkpoints").exists()
    made.close()


def test_a_host_that_is_away_is_there_again_later(tmp_path: Path) -> None:
    server = start_sshd(tmp_path / "sshd")

    def session() -> Session:  # as the inventory has it then: a server that starts again has another port here
        made = SshTransport(known_hosts=[server.known_hosts], keys=Keys([server.key], agent=False), connect_timeout=1.0)
        return made.session("log1", server.vars, "publish")

    place = HostPlace("log1", str(tmp_path / "checkpoints"), session)
    try:
        place.append([ONE])
        stop_sshd(server)
        with pytest.raises(HisautoError):
            place.append([TWO])
        server = start_sshd(tmp_path / "sshd")
        place.append([TWO])
        assert notes(place.read() or "") == [ONE, TWO]
    finally:
        place.close()
        stop_sshd(server)


# ---- syslog

HEADER = re.compile(r"<109>1 (\S+) \S+ hisauto \d+ checkpoint - (.*)", re.DOTALL)


def in_message(raw: bytes) -> str:
    """The checkpoint in a message, which has the form that RFC 5424 asks for."""
    said = HEADER.fullmatch(raw.decode("ascii"))
    assert said, raw
    assert abs((datetime.fromisoformat(said[1]) - datetime.now(UTC)).total_seconds()) < 60
    (found,) = notes(said[2])
    return found


def unframed(stream: bytes) -> Iterator[bytes]:
    """The messages of a stream, by octet counting (RFC 6587, 3.4.1)."""
    while stream:
        count, _, rest = stream.partition(b" ")
        yield rest[: int(count)]
        stream = rest[int(count) :]


def served(listener: socket.socket, stream: list[bytes]) -> threading.Thread:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while piece := connection.recv(100):
                stream.append(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_syslog_over_tcp_knows_what_was_read() -> None:
    stream: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = served(listener, stream)
        place = SyslogPlace(f"tcp://127.0.0.1:{listener.getsockname()[1]}", SystemClock())
        assert place.answers and place.read() is None
        place.append([ONE, TWO])
        thread.join(10)
    assert [in_message(one) for one in unframed(b"".join(stream))] == [ONE, TWO]


def test_a_syslog_server_that_does_not_read_to_the_end_is_not_taken_for_one_that_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hisauto.publish.syslog._PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it accepts, and never reads
        place = SyslogPlace(f"tcp://127.0.0.1:{listener.getsockname()[1]}", SystemClock())
        with pytest.raises(HisautoError, match="nobody knows"):
            place.append([ONE])


def test_a_syslog_server_that_closes_before_the_end_is_not_taken_for_one_that_read_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=close)
        thread.start()
        place = SyslogPlace(f"tcp://127.0.0.1:{listener.getsockname()[1]}", SystemClock())
        with pytest.raises(HisautoError, match="does not take it"):
            place.append([ONE, TWO, THREE])
        thread.join(10)


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_syslog_by_datagrams_is_sent_and_nobody_knows_more(kind: str, tmp_path: Path) -> None:
    family = socket.AF_INET if kind == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.settimeout(10)
        server.bind(("127.0.0.1", 0) if kind == "udp" else str(tmp_path / "log"))
        url = f"udp://127.0.0.1:{server.getsockname()[1]}" if kind == "udp" else f"unix://{tmp_path}/log"
        place = SyslogPlace(url, SystemClock())
        place.append([ONE, TWO])
        assert not place.answers
        assert [in_message(server.recv(65536)) for _ in range(2)] == [ONE, TWO]


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "unix:///nowhere/log", "tcp://nobody.invalid:514"])
def test_a_syslog_server_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(HisautoError, match=re.escape(f"syslog {url} does not take it: ")):
        SyslogPlace(url, SystemClock()).append([ONE])


def test_the_file_of_a_syslog_server_is_read_among_other_lines() -> None:
    lines = [message(one, "2026-11-23T03:00:00.000Z", "node-1").decode() for one in (ONE, TWO)]
    text = f"Nov 23 sshd[1]: hello\n{lines[0]}\nNov 23 03:00:01 node-1 cron: {lines[1]} trailing\n"
    assert notes(text) == [ONE, TWO]
    assert notes(text + lines[0][:-20]) == [ONE, TWO, lines[0][lines[0].index("{") : -20]], "damage has to be reported"
