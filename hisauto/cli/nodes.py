"""``hisauto node``, and starting one when there is none: a run must not wait for somebody to think of it."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hisauto.app import App
from hisauto.cli.language import tr
from hisauto.cli.nodelist import is_alive
from hisauto.cli.options import lang_option, pass_session, site_option
from hisauto.cli.session import Session
from hisauto.cli.terminal import note
from hisauto.errors import HisautoError, Refused
from hisauto.store.node_lock import node_lock

IDLE = 30
"""Seconds without an open run after which a node that nobody asked for ends."""
LOG = "node.log"
START_EVERY = 5.0
"""Seconds between two starts: one that was just started is still loading."""
TRIES = 3
PATIENCE = 1.0
"""Seconds for which a node asks for its lock: whoever only looks whether there is one holds it for an instant."""


@click.command()
@click.option("--idle", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so long without an open run.")
@site_option
@lang_option
@pass_session
def node(session: Session, idle: float | None) -> None:
    """Work on runs until Ctrl-C or SIGTERM. Runs that a node left behind when it died are taken up again.

    `run`, `watch` and every answer start one by themselves if there is none. One node works on one SQLite file; on
    PostgreSQL several share the work, and take over from one that is gone: hisauto nodes.

    \b
    Examples:
      hisauto node
      hisauto --site /srv/his node --idle 300
    \b
    Exit codes: 0 it was told to end · 3 another node works here
    """
    os.umask(0o077)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # until `work` knows better: it may be told to end as it loads
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("sqlalchemy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with _only_one(lock_folder(session.app)):
        own = session.app.node()
        log = logging.getLogger("hisauto.node")
        log.info("%s works on %s, process %d", own.name, session.app.site.name, os.getpid())
        with session.app.publisher.working():
            own.work(idle=idle)
        # Drives still at work are left to the next node, by design; their threads would keep this process.
        logging.shutdown()
        os._exit(0)


@contextmanager
def _only_one(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with node_lock(folder):
                yield
                return
        except Refused:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.05)


def lock_folder(app: App) -> Path | None:
    """Where the node's lock lies: beside the SQLite file, whichever site opens it. None: there may be several nodes."""
    # Read without SQLAlchemy, whose import would stand between `hisauto run` and its first look at a host.
    scheme, _, rest = app.site.database_url.partition("://")
    file = rest.partition("?")[0].removeprefix("/")
    if scheme.partition("+")[0] == "sqlite" and file:
        return Path(file).absolute().parent
    return None


def works(app: App) -> bool:
    """Whether a node works for this site. Raises ``RecordAway``."""
    folder = lock_folder(app)
    return is_working(folder) if folder is not None else any(map(is_alive, app.store.nodes()))


def is_working(folder: Path) -> bool:
    """Whether a node holds the lock in this folder."""
    try:
        handle = os.open(folder / "node.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def start(app: App) -> None:
    """Start a node that outlives this process and its terminal."""
    log = app.site.state / LOG
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "hisauto", "--site", str(app.site.root), "node", "--idle", str(IDLE)],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
        )
    except OSError as error:
        raise HisautoError(f"no node could be started: {error.strerror}", hint="hisauto node") from error
    finally:
        os.close(handle)
    process.returncode = 0  # it is not ours to wait for; else Python warns of it


def ensure_node(app: App) -> None:
    """Have a node work here. Two who start one at once do no harm: the second one finds the lock taken and ends."""
    if not works(app):
        start(app)


class Keeper:
    """Looks after the node for as long as somebody watches a run."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._started = -START_EVERY
        self._starts = 0

    def look(self) -> bool:
        """Start a node if there is none. False: it does not stay up, and was given up."""
        if works(self.app):
            self._starts = 0
            return True
        now = time.monotonic()
        if now - self._started < START_EVERY:
            return True
        if self._starts == TRIES:
            note(tr(f"warning: no node stays up here, so nothing goes on: see {self.app.site.state / LOG}"))
        if self._starts >= TRIES:
            self._starts += 1
            return False
        self._starts += 1
        self._started = now
        start(self.app)
        return True
