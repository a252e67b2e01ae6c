"""Opening the database: where it lies, how durable it is, and whether its tables are those that this code knows."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from hisauto.clock import Clock, SystemClock
from hisauto.errors import UsageError
from hisauto.store.database import Database, mapped, newer
from hisauto.store.schema import REVISION, audit_head
from hisauto.store.store import Store

_PATIENCE = 30.0  # seconds that a write waits for another process's
_SETTINGS = {
    # Seconds until a server that went away without a word counts as away: TCP alone would wait for hours.
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # A node that freezes in mid-write holds the log's head, and with it every other node's writes, for so long.
    "options": "-c idle_in_transaction_session_timeout=5s",
}
"""Of a connection to PostgreSQL (libpq's names)."""
_MIGRATING = 0x48495341  # any number, the same in every version: PostgreSQL's advisory lock


def open_store(url: str, clock: Clock | None = None) -> Store:
    """Open, create or migrate the database at ``url``: ``sqlite:///FILE`` or ``postgresql+psycopg://…``.

    Raises ``UsageError`` for another kind of URL, ``RecordAway``, and ``Broken`` if a newer version has been here.
    """
    engine = _engine(url)
    try:
        with mapped(engine.url):
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(Database(engine, clock or SystemClock()))


def _engine(url: str) -> sa.Engine:
    try:
        where = sa.make_url(url)
    except sa.exc.ArgumentError:
        where = None  # not quoted back: it may hold a password
    if where is not None and where.get_backend_name() == "sqlite" and where.database not in (None, "", ":memory:"):
        return _sqlite(where)
    if where is not None and where.get_backend_name() == "postgresql":
        return _postgresql(where.set(drivername="postgresql+psycopg"))
    raise UsageError(
        "that is no URL of a database that can be used",
        hint="sqlite:////path/to/file.db or postgresql+psycopg://user@host/name",
    )


def _postgresql(where: sa.URL) -> sa.Engine:
    # What the URL says itself rules.
    settings = {name: value for name, value in _SETTINGS.items() if name not in where.query}
    return sa.create_engine(
        where, pool_size=20, pool_timeout=_PATIENCE, pool_pre_ping=True, connect_args=settings, hide_parameters=True
    )


def _sqlite(where: sa.URL) -> sa.Engine:
    file = Path(str(where.database))
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        file.chmod(0o600)  # SQLite gives its -wal and -shm the same
    except OSError as error:
        raise UsageError(f"the database {file} can't be opened: {error.strerror}") from error
    engine = sa.create_engine(
        where, pool_size=20, pool_timeout=_PATIENCE, connect_args={"timeout": _PATIENCE}, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # A transaction that began by reading can't be turned into a writing one when another wrote in between.
        connection.isolation_level = "IMMEDIATE"
        # NORMAL syncs before and after what is moved out of the log; the log itself is synced by ours, see wal.py.
        for setting in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _migrate(engine: sa.Engine) -> None:
    """All in one transaction: two processes that open a new database wait for each other, a crash leaves nothing."""
    with engine.connect() as connection:
        if _revision(connection) == REVISION:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
        if _revision(connection) != REVISION:
            _upgrade(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: sa.Connection) -> None:
    # Here and not above: importing alembic takes longer than opening a database.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = _revision(connection)
    if found is not None and found not in known:
        raise newer(found)
    command.upgrade(config, REVISION)
    # Under the writers' lock: a process of an older version that has it open is refused from its next write on.
    connection.execute(audit_head.update().values(revision=REVISION))
