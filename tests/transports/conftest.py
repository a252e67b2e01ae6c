"""Hosts for the tests: see places.py."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .places import Gate, Place, Sshd, start_sshd, stop_sshd


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)


@pytest.fixture
def new_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """A server with options of its own."""
    servers: list[Sshd] = []

    def make(**options: str) -> Sshd:
        servers.append(start_sshd(tmp_path / f"sshd{len(servers)}", options))
        return servers[-1]

    yield make
    for server in servers:
        stop_sshd(server)


@pytest.fixture(params=["ssh", "local"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both ways to a host that keeps receipts."""
    server = request.getfixturevalue("sshd") if request.param == "ssh" else None
    place = Place(request.param, tmp_path / "receipts", server, [])
    yield place
    for transport in place.transports:
        transport.close()


@pytest.fixture
def over_ssh(sshd: Sshd, tmp_path: Path) -> Iterator[Place]:
    place = Place("ssh", tmp_path / "receipts", sshd, [])
    yield place
    for transport in place.transports:
        transport.close()


@pytest.fixture
def run() -> str:
    return f"run-{secrets.token_hex(4)}"


@pytest.fixture
def nap() -> str:
    """Seconds to sleep that are this test's own, by which its processes are found."""
    return f"{os.getpid() % 1000 + 1000}.{time.monotonic_ns() % 10**9:09d}"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Open in the end, so that nothing waits at it for ever after a test that failed."""
    made = Gate(tmp_path / "gate")
    yield made
    made.open()
