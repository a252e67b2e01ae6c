"""A PostgreSQL of one's own: a fresh cluster on a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda folder: int(folder.parent.name))
# PostgreSQL refuses to run as root, and postgres can't enter pytest's own folders.
USER = "postgres" if os.geteuid() == 0 else None


class Server:
    """A cluster that can be started and ended. ``url``: as a superuser of the database ``postgres``."""

    def __init__(self, folder: Path) -> None:
        assert BINARIES is not None
        self.folder = folder
        if USER:
            shutil.chown(folder, USER)
        options = ["-U", "hisauto", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb = [str(BINARIES / "initdb"), "-D", str(folder / "data"), *options]
        subprocess.run(initdb, user=USER, check=True, capture_output=True, cwd=folder)
        self.url = sa.URL.create("postgresql+psycopg", "hisauto", database="postgres", query={"host": str(folder)})
        self.start()

    def start(self) -> None:
        assert BINARIES is not None
        # Processes are killed here, machines are not: what the kernel has, it keeps.
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=off"]
        settings.append("dynamic_shared_memory_type=mmap")
        options = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARIES / "postgres", "-D", self.folder / "data", *options],
                user=USER, stderr=log, stdout=log, cwd=self.folder,
            )  # fmt: skip
        self._await()

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT: at once, as after a crash. SIGINT: it ends its sessions first."""
        self._process.send_signal(how)
        self._process.wait(30)

    def _await(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(host=str(self.folder), user="hisauto", dbname="postgres").close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.05)


@contextmanager
def server() -> Iterator[Server]:
    """A server for as long as it is needed; its folder goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="his-pg-"))
    try:
        made = Server(folder)
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)
