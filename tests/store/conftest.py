from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hisauto.store.engine import open_store
from hisauto.store.store import Store

from .cluster import BINARIES, server
from .runs import HeldClock


@pytest.fixture(scope="session")
def postgresql() -> Iterator[sa.URL]:
    if BINARIES is None:
        pytest.skip("PostgreSQL's server is not installed")
    with server() as made:
        yield made.url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database on each of the two."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/hisauto.db"
    server: sa.URL = request.getfixturevalue("postgresql")
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return server.render_as_string(hide_password=False)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(url: str, clock: HeldClock) -> Iterator[Store]:
    opened = open_store(url, clock)
    yield opened
    opened.close()
