"""A run that was left open: the case it plays, the whole database, and what its hosts remember of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hisauto.model.journal import Journal
from hisauto.model.run import RunState
from hisauto.store.store import Store
from hisauto.testing.cases import Case, Event
from hisauto.testing.clock import VirtualClock
from hisauto.testing.hosts import Fault, Folder, Host, Work
from hisauto.testing.mortal import Killed, Mortal
from hisauto.testing.performance import PLANNED, Performance
from tests.conformance import law

SITE = law.read_site()


class Story:
    """A case that is played until it has ended, or until its node dies after the write ``until``."""

    def __init__(self, case: Case, store: Store, clock: VirtualClock, left: list[Event] | None = None) -> None:
        self.play = Performance(case, SITE, store, clock)
        self.clock, self.store = clock, store
        self.left = list(case.happens) if left is None else left
        """What is still to happen."""

    def begin(self) -> None:
        self.play.prepare()
        if self.left and self.left[0].at == PLANNED:
            self.play.happen(self.left.pop(0))

    def go_on(self, until: str = "") -> RunState | None:
        """The end; None when it waits and nothing more happens, or when the node has died."""
        if self.store.view(self.play.run).question is not None:
            self.play.happen(self.left.pop(0))
        while True:
            journal = self.store.claim(self.play.run, "node-1")
            try:
                end = self.play.stage.drive(self.play.run, _dying(journal, until))
            except Killed:
                return None
            if end is not None or not self.left:
                return end
            self.play.happen(self.left.pop(0))

    def outcome(self) -> dict[str, Any]:
        """What has to come of it, whichever release drove it how far."""
        for host in self.play.world.hosts.values():
            host.tick()
        view = self.store.view(self.play.run)
        return {
            "end": view.state,
            "states": self.play.states(),
            "hosts": {name: host.state for name, host in self.play.world.hosts.items() if host.state},
            "left": view.summary.get("left"),
            "why": view.summary.get("why"),
            "locks": self.store.locks(),
        }


def _dying(journal: Journal, until: str) -> Journal:
    mortal: Any = Mortal(journal, lambda _, name: "after" if name == until else "")
    return mortal if until else journal


def keep(story: Story, database: Path, file: Path) -> None:
    """Write it down."""
    with sqlite3.connect(database) as connection:
        rows = list(connection.iterdump())
    connection.close()
    hosts = {name: _of_host(host, story.play.run) for name, host in story.play.world.hosts.items()}
    what = {
        "run": story.play.run,
        "case": story.play.case.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "left": [event.model_dump(mode="json", exclude_defaults=True) for event in story.left],
        "passed": story.clock.monotonic(),
        "hosts": hosts,
        "database": rows,
    }
    file.write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n")


def _of_host(host: Host, run: str) -> dict[str, Any]:
    folder = host._folders.get(run)
    works = {name: asdict(work) for name, work in folder.works.items()} if folder else {}
    kept = {"id": folder.id, "epoch": folder.epoch, "works": works} if folder else None
    faults = {attempt: [asdict(fault) for fault in faults] for attempt, faults in host._faults.items()}
    return {"state": host.state, "silent": sorted(host.silent), "boot": host.boot, "folder": kept, "faults": faults}


def restored(what: Mapping[str, Any], database: Path) -> None:
    """The database as it was left."""
    with sqlite3.connect(database) as connection:
        connection.executescript("\n".join(what["database"]))
    connection.close()


def resumed(what: Mapping[str, Any], store: Store, clock: VirtualClock) -> Story:
    """The story, as it was left, on a database that has been restored."""
    left = [Event.model_validate(event) for event in what["left"]]
    story = Story(Case.model_validate(what["case"]), store, clock, left)
    story.play.run = what["run"]
    clock.sleep(what["passed"] - clock.monotonic())
    for name, kept in what["hosts"].items():
        host = story.play.world.hosts[name]
        host.state, host.silent, host.boot = dict(kept["state"]), set(kept["silent"]), kept["boot"]
        host._faults = {attempt: [Fault(**fault) for fault in faults] for attempt, faults in kept["faults"].items()}
        if kept["folder"] is not None:
            works = {attempt: Work(**work) for attempt, work in kept["folder"]["works"].items()}
            host._folders[story.play.run] = Folder(kept["folder"]["id"], kept["folder"]["epoch"], works)
            host._made = kept["folder"]["id"]
            host._works = list(works.values())
    return story
