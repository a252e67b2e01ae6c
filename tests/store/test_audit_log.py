"""The log in the database: read back, signed, and tampered with."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from hisauto.audit import checkpoint
from hisauto.audit.merkle import Head
from hisauto.audit.note import NodeKey
from hisauto.audit.verify import verify_entries
from hisauto.errors import Broken
from hisauto.store import audit_log
from hisauto.store.rows import Published
from hisauto.store.schema import audit_entries, audit_head
from hisauto.store.store import Store

from .runs import START, HeldClock, decision, driven, log, requested, rows

RAW = audit_entries.c.raw
KEY = NodeKey.generate("node-a")


def sign(head: Head, at: str) -> str:
    return checkpoint.sign(head, "lab", at, KEY)


def test_entries_are_read_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_PAGE", 3)
    runs = [requested(store) for _ in range(7)]
    journal = store.claim(runs[2], "node-a")
    for number in range(5):
        journal.note(f"k{number}", number)
    assert [entry.seq for entry in store.entries()] == list(range(13))
    assert [entry.seq for entry in store.entries(from_seq=6)] == list(range(6, 13))
    assert [entry.seq for entry in store.entries(run=runs[2])] == [2, 7, 8, 9, 10, 11, 12]
    assert [entry.seq for entry in store.entries(9, runs[2])] == [9, 10, 11, 12]


def test_checkpoints_are_made_when_there_is_something_new(store: Store, clock: HeldClock) -> None:
    assert store.checkpoint(sign) is None
    journal = driven(store)
    first = store.checkpoint(sign)
    assert first is not None
    assert store.checkpoint(sign) is None
    clock.sleep(60)
    journal.note("k", 1)
    second = store.checkpoint(sign)
    assert second is not None
    said = checkpoint.verify(second, [KEY.verifier])
    assert (said.size, said.root, said.at) == (store.head().size, store.head().root(), "2026-11-23T03:01:00.123Z")
    assert [each.text for each in store.checkpoints()] == [first, second]
    report = verify_entries(store.raw_entries(), [first, second], [KEY.verifier], [second])
    assert report.findings == ()
    assert (report.anchored, report.unanchored) == (said.size, 0)


def test_each_place_is_known_by_itself(store: Store, clock: HeldClock) -> None:
    journal = driven(store)
    signed = []
    for number in range(3):
        journal.note(f"k{number}", number)
        signed.append((store.head().size, store.checkpoint(sign)))
    assert store.unpublished("a", 9) == store.unpublished("b", 9) == signed
    assert store.unpublished("a", 2) == signed[:2]
    store.mark_published("a", signed[1][0])
    assert (store.unpublished("a", 9), store.unpublished("b", 9)) == (signed[2:], signed)
    store.mark_published("a", signed[0][0])
    assert store.published("a") == Published(signed[1][0], clock.now()), "it has more already"


def test_a_place_that_fails_is_on_record_until_it_works_again(store: Store, clock: HeldClock) -> None:
    began = clock.now()
    store.mark_published("a", 4)
    clock.sleep(60)
    store.mark_unpublished("a", "no route")
    clock.sleep(60)
    store.mark_unpublished("a", "no room")
    assert store.published("a") == Published(4, began, began + timedelta(seconds=60), "no room")
    store.mark_published("a", 7)
    assert store.published("a") == Published(7, clock.now())
    assert store.published("b") == Published()


def test_a_signer_that_fails_leaves_no_checkpoint(store: Store) -> None:
    requested(store)
    with pytest.raises(ZeroDivisionError):
        store.checkpoint(lambda head, at: str(1 / 0))
    assert store.checkpoints() == []


@pytest.mark.parametrize(
    "tampering",
    [
        audit_entries.delete().where(audit_entries.c.seq == 2),
        audit_entries.update().where(audit_entries.c.seq == 1).values(raw=sa.func.replace(RAW, "dba-0", "dba-1")),
        audit_entries.delete().where(audit_entries.c.seq >= 3),
    ],
    ids=["removed", "edited", "cut"],
)
def test_tampering_is_found(store: Store, tampering: sa.Update | sa.Delete) -> None:
    run = requested(store)
    for number in range(4):
        store.decide(run, decision(f"dba-{number}"))
    text = store.checkpoint(sign)
    assert text is not None
    assert not verify_entries(store.raw_entries(), [text], [KEY.verifier], [text]).findings
    with store.engine.begin() as connection:
        connection.execute(tampering)
    assert verify_entries(store.raw_entries(), [text], [KEY.verifier], [text]).findings


def test_a_damaged_entry_is_said_to_be(store: Store) -> None:
    requested(store)
    with store.engine.begin() as connection:
        connection.execute(audit_entries.update().values(raw="{"))
    with pytest.raises(Broken, match="damaged"):
        list(store.entries())


@pytest.mark.parametrize("damage", [audit_head.delete(), audit_head.update().values(head={"size": 1})], ids=str)
def test_without_its_head_nothing_is_written(store: Store, damage: sa.Update | sa.Delete) -> None:
    run = requested(store)
    with store.engine.begin() as connection:
        connection.execute(damage)
    before = rows(store)
    with pytest.raises(Broken, match="head"):
        store.decide(run, decision())
    assert rows(store) == before


def test_the_moment_of_an_entry_is_the_moment_of_its_state(store: Store, clock: HeldClock) -> None:
    clock.sleep(1)
    run = requested(store)
    assert (store.view(run).created_at - START).total_seconds() == 1
    assert log(store)[0].at == "2026-11-23T03:00:01.123Z"
