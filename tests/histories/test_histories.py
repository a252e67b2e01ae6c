"""What an earlier release left open goes on, and ends as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hisauto.audit.verify import verify_entries
from hisauto.model.run import RUN_MOVES, RunState
from hisauto.store.engine import open_store
from hisauto.store.store import Store
from hisauto.testing.cases import Case
from hisauto.testing.clock import VirtualClock
from tests.store.runs import against

from .history import Story, restored, resumed

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.json"))
HISTORIES: dict[str, dict[str, Any]] = {
    f"{file.parent.name}/{file.stem}": json.loads(file.read_text()) for file in FILES
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def fresh(tmp_path: Path, clock: VirtualClock) -> Iterator[Store]:
    """An empty database."""
    store = open_store(f"sqlite:///{tmp_path}/fresh.db", clock)
    yield store
    store.close()


def left_open(name: str, folder: Path, clock: VirtualClock) -> Story:
    database = folder / "hisauto.db"
    restored(HISTORIES[name], database)
    return resumed(HISTORIES[name], open_store(f"sqlite:///{database}", clock), clock)


@pytest.mark.parametrize("name", HISTORIES)
def test_it_goes_on_and_ends_as_if_nothing_had_happened(
    name: str, tmp_path: Path, fresh: Store, clock: VirtualClock
) -> None:
    story = left_open(name, tmp_path, clock)
    assert not story.store.view(story.play.run).state.ended
    assert against(story.store) == []
    before = [entry.raw for entry in story.store.entries()]
    end = story.go_on()
    log = list(story.store.entries())
    assert [entry.raw for entry in log[: len(before)]] == before
    assert verify_entries(story.store.raw_entries(), [], []).findings == ()
    assert against(story.store) == []
    whole = Story(Case.model_validate(HISTORIES[name]["case"]), fresh, VirtualClock())
    whole.begin()
    assert end == whole.go_on() == story.play.case.end
    assert story.outcome() == whole.outcome()
    story.store.close()


def test_a_run_was_left_open_in_every_state(tmp_path: Path) -> None:
    for release in {name.partition("/")[0] for name in HISTORIES}:
        found = set()
        for name in HISTORIES:
            if name.startswith(f"{release}/"):
                (tmp_path / name).mkdir(parents=True)
                story = left_open(name, tmp_path / name, VirtualClock())
                found.add(story.store.view(story.play.run).state)
                story.store.close()
        assert found == {state for state in RUN_MOVES if not RunState(state).ended}, release
