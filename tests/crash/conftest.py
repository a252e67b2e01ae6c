from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from ..store.cluster import BINARIES, server
from .campaign import Campaign, Kept
from .nursery import Nursery, nursery
from .scenarios import BY_NAME

Campaigns = Callable[..., Campaign]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[sa.URL]:
    if BINARIES is None:
        pytest.skip("PostgreSQL's server is not installed")
    with server() as made:
        yield made.url


@pytest.fixture(scope="session")
def children() -> Iterator[Nursery]:
    """Where all processes of this worker come from."""
    folder = Path(tempfile.mkdtemp(prefix="his-crash-"))  # a socket's path is short
    try:
        with nursery(folder) as found:
            yield found
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def campaign(children: Nursery, request: pytest.FixtureRequest) -> Iterator[Campaigns]:
    """By the scenario's name, the database's kind and what is planted: each made once."""
    folder = Path(tempfile.mkdtemp(prefix="his-crash-"))

    @cache
    def made(scenario: str, kind: str, plant: str) -> Campaign:
        server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
        own = folder / f"{scenario}-{kind}-{plant.replace(' ', '-')}"
        own.mkdir()
        database = Kept(own, server, own.name)
        return Campaign(BY_NAME[scenario], children, database, own, plant)

    yield lambda scenario, kind, plant="": made(scenario, kind, plant)
    shutil.rmtree(folder)
