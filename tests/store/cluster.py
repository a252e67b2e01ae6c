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


@contextmanager
def cluster() -> Iterator[sa.URL]:
    """Its URL, as a superuser of the database ``postgres``."""
    assert BINARIES is not None
    # PostgreSQL refuses to run as root, and postgres can't enter pytest's own folders.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="his-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        options = ["-U", "hisauto", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb = [str(BINARIES / "initdb"), "-D", str(folder / "data"), *options]
        subprocess.run(initdb, user=user, check=True, capture_output=True, cwd=folder)
        # Processes are killed here, machines are not: what the kernel has, it keeps.
        settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off"]
        settings.append("dynamic_shared_memory_type=mmap")
        options = [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [BINARIES / "postgres", "-D", folder / "data", *options], user=user, stderr=log, stdout=log, cwd=folder
            )
        try:
            _await(folder, server)
            yield sa.URL.create("postgresql+psycopg", "hisauto", database="postgres", query={"host": str(folder)})
        finally:
            server.send_signal(signal.SIGQUIT)  # an immediate shutdown: the folder goes anyway
            server.wait(30)
    finally:
        shutil.rmtree(folder)


def _await(folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(folder), user="hisauto", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "log").read_text()) from None
            time.sleep(0.05)
