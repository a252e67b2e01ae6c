"""For all tests: laws without deadlines, and who shares a worker."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine a neighbour could break a deadline; and nothing is written into the repository.
settings.register_profile("hisauto", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hisauto")

HERE = Path(__file__).parent
LABS = {
    "lab": "lab-1",
    "failover/test_faults": "lab-1",
    "failover/test_restart": "lab-1",
    "failover/test_killed": "lab-2",
    "failover/test_late": "lab-2",
    "demo": "lab-2",
}
"""A lab is five hosts under load, and two labs are what two cores carry: what brings one up shares two workers."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Group the tests that need a lab, before xdist reads the groups."""
    if (group := _group(item)) is not None:
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what needs a lab: it takes longest."""
    items.sort(key=lambda item: _group(item) is None)


def _group(item: pytest.Item) -> str | None:
    part = item.path.relative_to(HERE).with_suffix("").as_posix()
    return next((g for prefix, g in LABS.items() if part == prefix or part.startswith(f"{prefix}/")), None)
