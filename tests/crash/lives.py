"""What the nursery's processes are: a world, and the lives of a node that works on it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg  # noqa: F401 - so that not every fork has to import it

from hisauto.app import App
from hisauto.audit.note import NodeKey
from hisauto.engine.drive import Drive
from hisauto.engine.node import Node
from hisauto.model.journal import Journal
from hisauto.publish.file import FilePlace
from hisauto.publish.publisher import Publisher
from hisauto.store import engine
from hisauto.testing.clock import VirtualClock
from hisauto.testing.served import FarClock, FarWorld, Remote, serve
from hisauto.testing.world import MemoryWorld

from .boundaries import Boundaries
from .plants import PLANTS
from .scenarios import BY_NAME

SITE = "memory"
FROZEN = 1.0
"""Seconds after which PostgreSQL ends the transaction of a life that was stopped in it."""


@dataclass(frozen=True)
class Life:
    """One life of a node: what it works on, and where it ends."""

    scenario: str
    url: str
    world: str
    """The address of its hosts."""
    folder: Path
    """Node key, published checkpoints."""
    run: str
    name: str
    told: Path
    at: int = 0
    """The boundary at which it gets the signal; 0: none."""
    signal: int = 0
    plant: str = ""
    """A fault of ours, to see that it is noticed."""


def host_world(scenario: str, address: str) -> None:
    """Be the world of a scenario until killed."""
    serve(BY_NAME[scenario].world(VirtualClock()), address)


def live(life: Life) -> None:
    """Drive a run as a node does, until it has ended or waits, or until the deadly boundary."""
    PLANTS[life.plant]()
    logging.basicConfig(filename=life.folder / "node.log", level=logging.INFO)
    remote = Remote(life.world)
    clock = FarClock(remote)
    boundaries = Boundaries(life.told, life.at, life.signal)
    engine._SETTINGS["options"] = f"-c idle_in_transaction_session_timeout={FROZEN * 1000:.0f}ms"
    store = engine.open_store(life.url, clock)
    boundaries.in_database(store.engine)
    boundaries.on_disk()
    here = BY_NAME[life.scenario].world(clock)

    @contextmanager
    def drive(journal: Journal) -> Iterator[Drive]:
        world = FarWorld(here, life.run, remote)
        boundaries.on_hosts(world)
        yield Drive(journal, world, clock)

    # Of the application a node uses no more than this to publish.
    office = SimpleNamespace(store=store, site=SimpleNamespace(id=SITE), node_key=node_key(life.folder),
                             publisher=Publisher(store, [FilePlace("file", life.folder / "checkpoints")]))  # fmt: skip
    node = Node(store, drive, lambda: App.publish(cast(App, office)), clock,
                name=life.name, every=60.0)  # fmt: skip
    node.drive(life.run, store.view(life.run).epoch)
    os._exit(0)  # as a node ends: whatever it has left in threads is left


def node_key(folder: Path) -> NodeKey:
    return NodeKey.from_pem(SITE, (folder / "node.key").read_bytes())


def snapshot(world: MemoryWorld) -> dict[str, Any]:
    """What there is to see of a world: every host's state, and every act in its order."""
    for host in world.hosts.values():
        host.tick()
    return {
        "state": {name: dict(host.state) for name, host in world.hosts.items()},
        "acts": list(world.moves),
        "receipts": {name: host.receipts for name, host in world.hosts.items()},
    }


def effect_is_there(world: MemoryWorld, host: str, attempt: str) -> bool:
    """Whether this attempt was started on its host: what a person finds out who goes and looks."""
    return any(move[:2] == (host, attempt) for move in world.moves)
