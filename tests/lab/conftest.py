from __future__ import annotations

from collections.abc import Iterator

import pytest

import lab

from .. import labs
from ..labs import Hospital


def initial(hospital: Hospital) -> bool:
    """Whether every host runs, db1 is the primary and db2 a standby."""
    found = lab.status(hospital.site)
    return found.up and [(h.power, h.service, h.role) for h in found.hosts.values()] == [
        ("on", "running", "primary"),
        ("on", "running", "standby"),
        *[("on", "running", "none")] * 3,
    ]


class Shared:
    """One hospital for many tests; rebuilt, in seconds, for the first that needs it whole after one that broke it."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital, self.dirty = hospital, False

    def whole(self) -> Hospital:
        if self.dirty:
            lab.up(self.hospital.site, kind="processes", fresh=True)
            self.dirty = False
        return self.hospital


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with labs.hospital(tmp_path_factory.mktemp("site")) as hospital:
        yield Shared(hospital)


@pytest.fixture
def hospital(shared: Shared) -> Hospital:
    """A healthy hospital in its initial state, to be left so."""
    return shared.whole()


@pytest.fixture
def breakable(shared: Shared) -> Hospital:
    """A healthy hospital in its initial state, to be broken."""
    whole = shared.whole()
    shared.dirty = True
    return whole


@pytest.fixture
def returned(shared: Shared) -> Iterator[Hospital]:
    """As ``breakable``, for a test that ends with a hospital built again."""
    yield shared.whole()
    shared.dirty = not initial(shared.hospital)


@pytest.fixture
def whatever(shared: Shared) -> Iterator[Hospital]:
    """The hospital as the last test left it, for a test that builds it again itself."""
    yield shared.hospital
    shared.dirty = not initial(shared.hospital)
