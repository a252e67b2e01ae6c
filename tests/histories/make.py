"""Leave runs open in every state, as this release leaves them: ``python -m tests.histories.make``, once a release.

What an earlier release has left is never made again.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path

from hisauto.store.engine import open_store
from hisauto.testing.clock import VirtualClock
from tests.conformance import law

from .history import Story, keep

HERE = Path(__file__).parent
ROLLED_BACK, NESTED = "steps and units in reverse", "nested: rolled back as part of its parent"
GATE, ITEMS = "granted by a person of each role", "for_each: a decision for each item"
STOPS = {
    "queued": (GATE, ""),
    "locking": (GATE, "locks"),
    "guarding": (GATE, "move guarding"),
    "at-a-gate": (GATE, "park gate:1"),
    "between-gates": (ITEMS, "note gate.denied:1[1].1"),
    "verifying": (ITEMS, "move verifying"),
    "at-work": (ROLLED_BACK, "1[b]#1 started"),
    "failed": (ROLLED_BACK, "3[a]#1 failed"),
    "going-back": (ROLLED_BACK, "1[b]!undo#1 started"),
    "concluded": (NESTED, "note verdict"),
    "at-its-end": (NESTED, "always@2.1#1 started"),
    "asking": ("after a unit went back, again does the unit again", "park ask:1[app2].2#1:0"),
    "in-doubt": ("in doubt, a person says again: it looks first", "park doubt:1[a]#1"),
    "by-hand": ("manual: done, with its evidence", "park manual:1[a]#1"),
    "in-a-round": ("rounds: none left", "1@2.2[a]#1 started"),
}
"""Name of the history → the case it plays, and the write after which its node dies; none: it is only asked for."""


def main() -> None:
    cases = {case.case: case for cases in law.cases().values() for case in cases}
    folder = HERE / version("hisauto")
    folder.mkdir(exist_ok=True)
    for name, (case, until) in STOPS.items():
        with tempfile.TemporaryDirectory() as scratch:
            database, clock = Path(scratch) / "hisauto.db", VirtualClock()
            store = open_store(f"sqlite:///{database}", clock)
            story = Story(cases[case], store, clock)
            story.begin()
            end = story.go_on(until) if until else None
            if end is not None:
                raise SystemExit(f"{name}: it ended without '{until}'")
            store.close()
            keep(story, database, folder / f"{name}.json")


if __name__ == "__main__":
    main()
