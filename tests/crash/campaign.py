"""One scenario on one kind of database: an undisturbed run that counts the boundaries, and trials that die at them."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from hisauto.audit.note import NodeKey
from hisauto.errors import Broken
from hisauto.store.engine import open_store
from hisauto.store.schema import metadata
from hisauto.testing.clock import VirtualClock
from hisauto.testing.served import FarClock, Remote
from hisauto.testing.stage import Stage

from .. import labs
from .lives import SITE, Life, host_world, snapshot
from .nursery import Nursery
from .scenarios import Scenario
from .way import Deaths, Trial, Way


class Kept:
    """A database, made so once and put back before each trial to what it was then."""

    def __init__(self, folder: Path, server: sa.URL | None, name: str) -> None:
        """``server``: a PostgreSQL; None: SQLite."""
        self.server, self.file, self.kept = server, folder / f"{name}.db", folder / f"{name}.kept"
        self.url = f"sqlite:///{self.file}"
        if server is not None:
            self._tell(server, f'create database "{name}"')
            self.url = server.set(database=name).render_as_string(hide_password=False)

    def keep(self) -> None:
        """It is as it shall be; nobody has it open."""
        if self.server is None:
            shutil.copy(self.file, self.kept)
            return
        tables = [f"create table kept.{name} as table public.{name}" for name in metadata.tables]
        self._tell(sa.make_url(self.url), "create schema kept", *tables)

    def restore(self) -> None:
        """As it was kept, whoever has been at work in it."""
        if self.server is None:
            for path in self.file.parent.glob(f"{self.file.name}*"):
                path.unlink()
            shutil.copy(self.kept, self.file)
            return
        others = (
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        tables = ", ".join(f"public.{table.name}" for table in metadata.sorted_tables)
        again = [f"insert into public.{table.name} select * from kept.{table.name}" for table in metadata.sorted_tables]
        self._tell(sa.make_url(self.url), others, f"truncate {tables}", *again)

    @staticmethod
    def _tell(url: sa.URL, *statements: str) -> None:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


class Campaign:
    """One scenario on one kind of database."""

    def __init__(self, scenario: Scenario, nursery: Nursery, database: Kept, folder: Path, plant: str = "") -> None:
        self.scenario, self.nursery, self.database, self.folder = scenario, nursery, database, folder
        self.plant = plant
        clock = VirtualClock()
        store = open_store(database.url, clock)
        stage = Stage(store, scenario.world(clock), clock)
        others = {name: path.read_text() for name, path in scenario.others.items()}
        plan = stage.plan(scenario.runbook.read_text(), scenario.params, others)
        self.run = stage.request(plan, "operator-1")
        store.close()
        database.keep()
        (folder / "key").mkdir()
        (folder / "key/node.key").write_bytes(NodeKey.generate(SITE).to_pem())
        self._trials = 0
        self.undisturbed = self.trial({})
        assert self.undisturbed.wrong == [], self.undisturbed.wrong
        assert self.undisturbed.result["end"] == scenario.end, self.undisturbed.result

    @property
    def boundaries(self) -> list[tuple[int, int, str]]:
        """What an undisturbed run comes to, in order: the life, the place in it from 1, and what it is."""
        lives = self.undisturbed.lives
        return [(n, at, what) for n, life in enumerate(lives, 1) for at, what in enumerate(life, 1)]

    def trial(self, deaths: Deaths) -> Trial:
        """The run from its beginning, through these deaths."""
        self._trials += 1
        name = f"trial_{self._trials}"
        folder = self.folder / name
        shutil.copytree(self.folder / "key", folder)
        self.database.restore()
        trial = Trial(deaths)
        with self._world(folder) as remote:
            store = open_store(self.database.url, FarClock(remote))
            try:
                life = Life(self.scenario.name, self.database.url, remote.address, folder, self.run, "", folder,
                            plant=self.plant)  # fmt: skip
                way = Way(self.scenario, self.nursery, trial, store, remote, self.run, life)
                way.go(self.undisturbed.result if self._trials > 1 else None)
            finally:
                store.close()
        if trial.wrong and (log := folder / "node.log").exists():
            trial.wrong += log.read_text().splitlines()[-20:]
        shutil.rmtree(folder)
        return trial

    @contextlib.contextmanager
    def _world(self, folder: Path) -> Iterator[Remote]:
        remote = Remote(str(folder / "world"))
        pid = self.nursery.fork(host_world, self.scenario.name, remote.address)
        try:
            labs.until(lambda: answers(remote), 60)
            yield remote
        finally:
            self.nursery.signal(pid, signal.SIGKILL)
            self.nursery.wait(pid)


def answers(remote: Remote) -> bool:
    """Whether there is a world by now."""
    try:
        remote.call(snapshot)
    except Broken:
        return False
    return True
