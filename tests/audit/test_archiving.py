"""Archives of a real database: what may be moved, what stays, and that both together are the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from hisauto import archiving
from hisauto.app import App
from hisauto.archiving import archive, archives, entries, folder, months_before
from hisauto.audit import export
from hisauto.audit.entry import Entry
from hisauto.audit.published import notes
from hisauto.audit.report import Report
from hisauto.audit.verify import Verifier
from hisauto.errors import Broken, Refused
from hisauto.model.run import RunState
from hisauto.store.schema import audit_entries

from ..store.runs import HeldClock, driven


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.delenv("HISAUTO_DATABASE_URL", raising=False)
    (tmp_path / "hisauto.yml").write_text("site: {id: lab}\n")
    made = App(tmp_path, HeldClock())
    yield made
    made.store.close()


def works(app: App, days: int, end: bool = True) -> None:
    """A run each day, signed and published."""
    for _ in range(days):
        journal = driven(app.store)
        journal.note("k", 1)
        if end:
            journal.end(RunState.failed, {})
        app.publish()
        app.clock.sleep(86400)


def published(app: App) -> list[str]:
    return [text for place in app.publisher.places for text in notes(place.read() or "")]


def verified(app: App) -> Report:
    verifier = Verifier(app.trusted_keys(), published(app), origin="lab")
    start, _ = app.store.bounds()
    for path in archives(folder(app), start.size):
        with path.open("rb") as lines:
            export.read(lines, verifier, tuple(app.trusted_keys()))
    stored = [one.text for one in app.store.checkpoints()]
    verifier.stored(start, app.store.raw_entries(start.size), stored)
    return verifier.finish()


def all_of(app: App) -> list[Entry]:
    return list(app.store.entries())


def test_what_is_old_goes_and_archives_and_database_are_the_log(app: App) -> None:
    begun = app.clock.now()
    works(app, 4)
    before = [one.raw for one in all_of(app)]
    app.clock.sleep(190 * 86400)
    works(app, 2)
    made = archive(app, begun + timedelta(days=2), published(app))
    assert (made.first, made.path.stat().st_mode & 0o777) == (0, 0o600)
    rest = all_of(app)
    assert rest[0].seq == made.size and 0 < made.size < len(before)
    assert (rest[-1].kind, rest[-1].data["sha256"]) == ("log.archived", made.sha256)
    app.publish()
    report = verified(app)
    assert report.findings == ()
    assert (report.begins, report.size, report.unanchored) == (0, app.store.head().size, 0)

    second = archive(app, begun + timedelta(days=4), published(app))
    assert second.first == made.size
    works(app, 1)
    report = verified(app)
    assert report.findings == () and report.begins == 0
    assert len(archives(folder(app), 10**9)) == 2
    start, raw = entries(app, 0)
    assert start.size == 0 and list(raw)[: len(before)] == before, "not a byte is lost"


def test_six_months_stay(app: App) -> None:
    works(app, 1)
    app.clock.sleep(300 * 86400)
    latest = months_before(app.clock.now(), 6)
    with pytest.raises(Refused, match="6 months at least"):
        archive(app, latest + timedelta(seconds=1), published(app))
    assert archive(app, latest, published(app)).size > 0


@pytest.mark.parametrize(
    ("now", "then"),
    [("2026-11-23", "2026-05-23"), ("2026-08-31", "2026-02-28"), ("2028-08-30", "2028-02-29"),
     ("2026-03-15", "2025-09-15"), ("2026-06-30", "2025-12-30"), ("2026-12-31", "2026-06-30")],
)  # fmt: skip
def test_months_are_those_of_the_calendar(now: str, then: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert months_before(moment, 6) == datetime.fromisoformat(then).replace(tzinfo=UTC)


def test_what_nobody_published_stays(app: App) -> None:
    begun = app.clock.now()
    works(app, 3)
    app.clock.sleep(190 * 86400)
    with pytest.raises(Refused, match="nothing to archive"):
        archive(app, begun + timedelta(days=3), [])
    first = published(app)[:1]
    made = archive(app, begun + timedelta(days=3), first)
    assert first[0].split("\n")[1] == str(made.size)


def test_what_an_open_run_has_done_stays(app: App) -> None:
    begun = app.clock.now()
    works(app, 2)
    size = app.store.head().size
    works(app, 1, end=False)
    works(app, 2)
    app.clock.sleep(190 * 86400)
    assert archive(app, begun + timedelta(days=5), published(app)).size == size


def test_a_log_that_was_changed_is_not_archived(app: App) -> None:
    begun = app.clock.now()
    works(app, 2)
    app.clock.sleep(190 * 86400)
    with app.store.engine.begin() as connection:
        raw = sa.func.replace(audit_entries.c.raw, "db1", "db2")
        change = (
            sa.update(audit_entries).where(audit_entries.c.seq == 1).values(raw=sa.func.replace(raw, "node-a", "x"))
        )
        connection.execute(change)
    count = len(list(app.store.raw_entries()))
    with pytest.raises(Broken, match="nothing was archived"):
        archive(app, begun + timedelta(days=2), published(app))
    assert len(list(app.store.raw_entries())) == count and not archives(folder(app), 10**9)


@pytest.mark.parametrize("where", ["written", "moved"])
def test_an_archiving_that_dies_loses_nothing_and_is_done_again(
    app: App, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = app.clock.now()
    works(app, 2)
    app.clock.sleep(190 * 86400)
    with monkeypatch.context() as patch:
        victim, name = (export, "write") if where == "written" else (app.store, "forget")
        patch.setattr(victim, name, lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            archive(app, begun + timedelta(days=2), published(app))
    report = verified(app)
    assert report.findings == () and report.begins == 0, "the database still has all of it"
    made = archive(app, begun + timedelta(days=2), published(app))
    assert made.first == 0
    report = verified(app)
    assert report.findings == () and report.begins == 0


def test_an_archive_that_is_gone_or_changed_is_seen(app: App) -> None:
    begun = app.clock.now()
    works(app, 4)
    app.clock.sleep(190 * 86400)
    first = archive(app, begun + timedelta(days=2), published(app))
    second = archive(app, begun + timedelta(days=4), published(app))
    text = first.path.read_bytes()
    first.path.unlink()
    report = verified(app)
    assert report.findings == () and report.begins == first.size, "and that they were not seen is said"
    first.path.write_bytes(text.replace(b"run.requested", b"run.Requested", 1))
    assert {str(one.code) for one in verified(app).findings} >= {"chain", "signature"}
    first.path.write_bytes(text)
    second.path.unlink()
    assert {str(one.code) for one in verified(app).findings} == {"gap"}


def test_the_entry_says_what_was_moved(app: App) -> None:
    begun = app.clock.now()
    works(app, 2)
    app.clock.sleep(190 * 86400)
    made = archive(app, begun + timedelta(days=2), published(app))
    said = all_of(app)[-1].data
    header = json.loads(made.path.read_bytes().split(b"\n")[0])
    assert (said["file"], said["first"], said["size"]) == (made.path.name, 0, made.size)
    assert header["root"] == said["root"]
    assert archiving.MONTHS == 6
