"""What a write promises on SQLite: when it returns, the disk has it; and those who wait at once share the wait."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hisauto.errors import Broken
from hisauto.model.run import AttemptState
from hisauto.store import wal
from hisauto.store.engine import open_store
from hisauto.store.journal import StoreJournal

from .runs import requested

WRITERS = 8


def opened(folder: Path) -> tuple[StoreJournal, Path]:
    store = open_store(f"sqlite:///{folder}/x.db")
    return store.claim(requested(store), "node-1"), folder / "x.db"


def rows(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    try:
        return {path for (path,) in connection.execute("select path from attempts")}
    finally:
        connection.close()


@pytest.mark.parametrize("writers", [1, WRITERS])
def test_what_returned_was_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writers: int) -> None:
    """By a sync that began after its commit; fewer syncs than writes as soon as several write."""
    journal, database = opened(tmp_path)
    lasting: set[str] = set()
    real, syncs = wal._sync_file, []

    def slow(path: Path) -> None:
        syncs.append(path)
        there = rows(database)
        real(path)
        time.sleep(0.01)
        lasting.update(there)

    monkeypatch.setattr(wal, "_sync_file", slow)

    def write(writer: int) -> None:
        for n in range(5):
            journal.record(f"{writer}.{n}", 1, AttemptState.started)
            assert f"{writer}.{n}" in lasting

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    assert set(syncs) == {database.with_name("x.db-wal")}
    assert len(syncs) == 5 if writers == 1 else len(syncs) < 5 * writers / 2


def test_a_disk_that_refused_is_not_trusted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports a lost write once; the next sync would say that all is well."""
    journal, _ = opened(tmp_path)
    journal.record("1", 1, AttemptState.started)

    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(wal, "_sync_file", refuse)
        with pytest.raises(Broken, match="Input/output error"):
            journal.record("2", 1, AttemptState.started)
    with pytest.raises(Broken, match=r"x\.db-wal"):
        journal.record("3", 1, AttemptState.started)


def test_everybody_hears_of_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = wal.Wal(tmp_path / "x.db")
    began, refuse = threading.Event(), threading.Event()

    def hold(path: Path) -> None:
        began.set()
        assert refuse.wait(10)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(wal, "_sync_file", hold)
    with ThreadPoolExecutor(2) as pool:
        log.written()
        first = pool.submit(log.last)
        assert began.wait(10)
        log.written()
        second = pool.submit(log.last)
        refuse.set()
        for waiting in (first, second):
            with pytest.raises(Broken):
                waiting.result(10)


def test_no_log_left_means_all_is_in_the_database(tmp_path: Path) -> None:
    log = wal.Wal(tmp_path / "none.db")
    log.written()
    log.last()
