"""The other sides that the actions are tried on, and what runs a call."""

from __future__ import annotations

import http.server
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hisauto.actions import load
from hisauto.model.action import Action, Call, Observation, Place, Purpose
from hisauto.model.transport import Completed

ACTIONS = load()


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Poll until it is so; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def command_lines() -> list[bytes]:
    """What a process list shows: the arguments of every process, each ended by a NUL."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(cmdline.read_bytes())
    return found


def execute(call: Call, *, sh: str = "sh", env: dict[str, str] | None = None) -> Completed:
    """What a transport does with a call, without its receipts."""
    done = subprocess.run(
        [sh, "-c", call.script.text],
        env={**os.environ, **call.script.env, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
    )
    return Completed(done.returncode, "exit", done.stdout, done.stderr)


def do(kind: str, fields: object, place: Place, purpose: Purpose = "look", *, sh: str = "sh") -> Observation:
    """Call, run, read."""
    action: Action = ACTIONS[kind]
    valid = action.fields.model_validate(fields if isinstance(fields, dict) else {action.scalar: fields})
    seen = action.read(valid, execute(action.call(valid, place, purpose), sh=sh), purpose)
    assert set(seen.values) <= set(action.returns), "a name that nobody was told of"
    return seen


def listens(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Handler(http.server.BaseHTTPRequestHandler):
    """Echoes what was sent; ``/NNN`` answers with that status, ``/slow`` not at all."""

    def _answer(self) -> None:
        if self.path == "/slow":
            self.server.stopping.wait(30)  # type: ignore[attr-defined]  # set by the fixture
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        seen = {"method": self.command, "path": self.path, "body": body, "headers": dict(self.headers)}
        status = int(self.path[1:4]) if self.path[1:4].isdigit() else 200
        sent = b"Connection refused\n* connect failed: Connection refused\n200 0\n" if self.path == "/liar" else None
        data = sent or json.dumps(seen, ensure_ascii=False).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Postgres:
    """A private cluster, as root run by the packages' user."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def vars(self) -> dict[str, object]:
        return {"pg_host": "127.0.0.1", "pg_port": self.port, "pg_user": "admin", "pg_database": "postgres"}

    def place(self, **more: object) -> Place:
        return Place("db1", {**self.vars, **more}, {})

    def tool(self, name: str, *args: str) -> list[str]:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        found = shutil.which(name, path=os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]]))
        if not found:
            pytest.skip(f"{name} is missing: install postgresql")
        return [found, *args]

    @property
    def user(self) -> str | None:
        return "postgres" if os.getuid() == 0 else None

    def build(self) -> None:
        self.folder.chmod(0o700)
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            self.tool("initdb", "-D", str(self.data), "--no-sync", "-U", "admin", "-A", "trust", "-E", "UTF8"),
            user=self.user, cwd="/", check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        hba = self.data / "pg_hba.conf"
        hba.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{hba.read_text()}")

    def start(self, *settings: str) -> None:
        options = [
            o
            for s in (
                "fsync=off",
                "listen_addresses=127.0.0.1,127.0.0.2",
                f"unix_socket_directories={self.folder}",
                *settings,
            )
            for o in ("-c", s)
        ]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.tool("postgres", "-D", str(self.data), "-p", str(self.port), *options),
                user=self.user, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        until(lambda: do("sql", "select 1", self.place()).values.get("rowcount") == 1)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(3)  # SIGQUIT: immediate shutdown, children and all
            self.process.wait(20)


def cluster() -> Postgres:
    return Postgres(Path(tempfile.mkdtemp(prefix="hisauto-pg-", dir="/tmp")))


@dataclass(frozen=True)
class Sshd:
    """A loopback sshd with a key of its own."""

    port: int
    key: Path
    known_hosts: Path
    user: str
