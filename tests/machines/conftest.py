from __future__ import annotations

from collections.abc import Iterator

import pytest

import lab

from .. import labs
from ..labs import Hospital

EXPECTED = {"db1": "primary", "db2": "standby"}


def initial(hospital: Hospital) -> bool:
    """Whether every host runs, db1 is the primary and db2 a standby."""
    found = lab.status(hospital.site)
    return found.up and all(
        (seen.power, seen.service, seen.role) == ("on", "running", EXPECTED.get(host, "none"))
        for host, seen in found.hosts.items()
    )


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A lab of machines for all tests of a worker. Each leaves it as it was."""
    with labs.hospital(tmp_path_factory.mktemp("site"), "machines") as hospital:
        yield hospital


@pytest.fixture
def hospital(machines: Hospital) -> Hospital:
    """Healthy, in its initial state; built again for whoever comes after a test that has left it otherwise."""
    lab.up(machines.site, kind="machines", fresh=not initial(machines))
    return machines
