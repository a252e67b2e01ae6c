"""From a runbook's file and the tests beside it to what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hisauto.errors import NotFound
from hisauto.model.action import Action
from hisauto.model.problems import did_you_mean
from hisauto.runbook.documents import Runbook
from hisauto.runbook.loader import read_runbook
from hisauto.site.site import TESTS
from hisauto.testing.rehearsal.actions import rehearsed
from hisauto.testing.rehearsal.explore import Bounds, Explored, Progress, explore
from hisauto.testing.rehearsal.facts import Facts, read_facts
from hisauto.testing.rehearsal.played import Script


@dataclass(frozen=True)
class Rehearsal:
    """A runbook and its tests, ready to be played."""

    script: Script

    @property
    def facts(self) -> Facts:
        return self.script.facts

    def play(self, bounds: Bounds, *, test: str = "", progress: Progress = lambda done, of: None) -> Iterator[Explored]:
        """Each test, or the one that is named, within bounds. Raises ``NotFound``."""
        names = [one.test for one in self.facts.tests]
        if test and test not in names:
            raise NotFound(f"there is no test '{test}'", hint=did_you_mean(test, names) or None)
        for one in self.facts.tests:
            if test in ("", one.test):
                yield explore(self.script, one, bounds, progress)


def facts_beside(runbook: Path) -> Path:
    """The file of tests beside a runbook's."""
    return runbook.with_name(runbook.stem + TESTS)


def open_rehearsal(runbook: Path, actions: Mapping[str, Action], shown: Callable[[Path], str] = str) -> Rehearsal:
    """Read a runbook and its tests. Raises ``Invalid`` with all mistakes in them, ``NotFound`` if there are none."""
    beside = facts_beside(runbook)
    if not beside.is_file():
        raise NotFound(
            f"there are no tests for {runbook.stem}: no file {shown(beside)}", hint="see docs/rehearsal.md for one"
        )

    def find(name: str) -> Runbook:
        file = runbook.with_name(f"{name}.yml")
        if not file.is_file():
            raise NotFound(f"there is no runbook '{name}' beside {shown(runbook)}")
        return read_runbook(file.read_bytes(), shown(file), actions)

    book = read_runbook(runbook.read_bytes(), shown(runbook), actions)
    facts, source = read_facts(beside.read_bytes(), shown(beside), actions)
    return Rehearsal(Script(book, facts, source, rehearsed(actions), find))
