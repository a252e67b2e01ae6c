"""Real other sides: PostgreSQL, an HTTP server, sshd, a port that refuses and two that say nothing."""

from __future__ import annotations

import http.server
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import Handler, Postgres, Sshd, cluster, free_port, listens, until


@pytest.fixture
def refused_port() -> Iterator[int]:
    """Bound, not listening: nobody else can take it, and a connection is refused."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


@pytest.fixture
def dark_port() -> Iterator[int]:
    """A listener with a full backlog: SYNs are dropped, as by a host without power."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting: list[socket.socket] = []
        try:
            while True:
                s = socket.socket()
                waiting.append(s)
                s.settimeout(0.3)
                s.connect(listener.getsockname())
        except TimeoutError:
            yield listener.getsockname()[1]
        finally:
            for s in waiting:
                s.close()


@pytest.fixture
def mute_port() -> Iterator[int]:
    """Connections are made, and then nothing: a stopped process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@pytest.fixture(scope="session")
def web() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.stopping = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stopping.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def pg() -> Iterator[Postgres]:
    made = cluster()
    try:
        made.build()
        made.start()
        made.wait()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture
def starting_pg() -> Iterator[Postgres]:
    """A cluster that answers everyone with 57P03: a standby that doesn't let anybody in."""
    made = cluster()
    try:
        made.build()
        (made.data / "standby.signal").touch()
        made.start("hot_standby=off")
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    binary = shutil.which("sshd", path=f"/usr/sbin:{os.environ['PATH']}")
    if not binary:
        pytest.skip("sshd is missing: install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    top = Path(tempfile.mkdtemp(prefix="hisauto-sshd-", dir="/tmp"))
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(top / name)], check=True)
    (top / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {top}/host\nAuthorizedKeysFile {top}/user.pub\nPidFile none\n"
        "UsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        "Subsystem sftp internal-sftp\n"
    )
    (top / "known_hosts").write_text(f"[127.0.0.1]:{port} {(top / 'host.pub').read_text()}")
    process = subprocess.Popen([binary, "-D", "-e", "-f", str(top / "config")], stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port))
        yield Sshd(port, top / "user", top / "known_hosts", pwd.getpwuid(os.getuid()).pw_name)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(top, ignore_errors=True)
