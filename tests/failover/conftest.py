from __future__ import annotations

from collections.abc import Iterator

import pytest

from .scene import Scene, scene


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all tests of a worker."""
    with scene(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def play(stage: Scene) -> Scene:
    """A fresh lab: db1 primary, db2 its synchronous standby."""
    stage.fresh()
    return stage
