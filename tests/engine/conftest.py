from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from hisauto.store.engine import open_store
from hisauto.store.store import Store
from hisauto.testing.clock import VirtualClock

from .play import Play


@pytest.fixture(scope="session")
def clock() -> VirtualClock:
    """One for all runs of the database: its times only grow."""
    return VirtualClock()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, clock: VirtualClock) -> Iterator[Store]:
    """The real store. That a commit survives a power cut is tested with the store, and costs most of the time."""
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('engine')}/hisauto.db", clock)

    @sa.event.listens_for(opened.engine, "connect")
    def hasten(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    opened.engine.dispose()
    yield opened
    opened.close()


@pytest.fixture
def play(store: Store, clock: VirtualClock) -> Iterator[Play]:
    made = Play(store, clock)
    yield made
    made.finish()
