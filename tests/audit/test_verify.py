"""Every way to change a log in its database, with the code of the finding that it has to lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.audit import checkpoint
from hisauto.audit.entry import Entry
from hisauto.audit.merkle import Head
from hisauto.audit.report import Code, Report
from hisauto.audit.verify import verify_entries

from .logs import AT, INTRUDER, KEY, SITE, Log, grown

KEYS = [KEY.verifier]


def check(log: Log, published: list[str] | None = None) -> Report:
    return verify_entries(log.entries, log.checkpoints, KEYS, published)


def codes(report: Report) -> set[Code]:
    return {finding.code for finding in report.findings}


def edit(log: Log, seq: int, **change: Any) -> None:
    log.entries[seq] = replace(log.entries[seq], **change)


def relink(entries: list[Entry]) -> tuple[list[Entry], Head]:
    """Make every hash and number right again, as a forger with the database but without a key would."""
    head, linked = Head(), []
    for one in entries:
        linked.append(replace(one, seq=head.size, prev=head.last))
        head = head.append(linked[-1].raw)
    return linked, head


def edited(log: Log) -> None:
    edit(log, 4, data={"what": "step 4", "rc": 1})


def edited_last(log: Log) -> None:
    log.entries.pop()  # so that the last entry is under a checkpoint
    edit(log, 8, actor="dba-2")


def edited_then_linked(log: Log) -> None:
    edited(log)
    log.entries, log.head = relink(log.entries)


def removed(log: Log) -> None:
    del log.entries[4]


def removed_several(log: Log) -> None:
    del log.entries[2:7]


def removed_first(log: Log) -> None:
    del log.entries[0]


def removed_then_linked(log: Log) -> None:
    del log.entries[4]
    log.entries, log.head = relink(log.entries)


def inserted(log: Log) -> None:
    log.entries.insert(4, replace(log.entries[4], actor="dba-2"))


def inserted_unnumbered(log: Log) -> None:
    log.entries.insert(4, replace(log.entries[4], seq=-1))


def inserted_then_linked(log: Log) -> None:
    inserted(log)
    log.entries, log.head = relink(log.entries)


def swapped(log: Log) -> None:
    log.entries[4], log.entries[5] = log.entries[5], log.entries[4]


def swapped_then_linked(log: Log) -> None:
    swapped(log)
    log.entries, log.head = relink(log.entries)


def duplicated(log: Log) -> None:
    log.entries.insert(5, log.entries[4])


def duplicated_last(log: Log) -> None:
    log.entries.append(log.entries[-1])


def cut(log: Log) -> None:
    del log.entries[7:]


def emptied(log: Log) -> None:
    log.entries.clear()


def rewritten(log: Log) -> None:
    log.entries = grown(word="another").entries


def rewritten_and_signed_by_another(log: Log) -> None:
    other = grown(key=INTRUDER, word="another")
    log.entries, log.checkpoints = other.entries, other.checkpoints


def forged(log: Log) -> None:
    log.entries = grown(word="another").entries
    head = grown(3, word="another").head
    honest = log.checkpoints[0]
    body = checkpoint.sign(head, SITE, AT, INTRUDER).rpartition("\n\n")[0]
    log.checkpoints[0] = body + "\n\n" + honest.rpartition("\n\n")[2]  # the true signature under other words


def of_another_log(log: Log) -> None:
    log.checkpoints[1] = checkpoint.sign(grown(6).head, "another hospital", AT, KEY)


def checkpoints_swapped(log: Log) -> None:
    log.checkpoints.reverse()


def no_checkpoint(log: Log) -> None:
    log.checkpoints[1] = "nothing"


def not_json(log: Log) -> None:
    edit(log, 4, data={"rc": 2**60})


CORRUPTIONS: list[tuple[Callable[[Log], None], Code, int | None]] = [
    (edited, Code.chain, 5),
    (edited, Code.checkpoint_root, 5),
    (edited_last, Code.checkpoint_root, 8),
    (edited_then_linked, Code.checkpoint_root, 5),
    (removed, Code.missing, 5),
    (removed, Code.checkpoint_root, 5),
    (removed_several, Code.missing, 7),
    (removed_first, Code.missing, 1),
    (removed_then_linked, Code.checkpoint_root, 5),
    (inserted, Code.order, 4),
    (inserted_unnumbered, Code.order, -1),
    (inserted_then_linked, Code.checkpoint_root, 5),
    (swapped, Code.missing, 5),
    (swapped, Code.order, 4),
    (swapped_then_linked, Code.checkpoint_root, 5),
    (duplicated, Code.order, 4),
    (duplicated_last, Code.order, 9),
    (cut, Code.cut, None),
    (emptied, Code.cut, None),
    (rewritten, Code.checkpoint_root, 2),
    (rewritten_and_signed_by_another, Code.checkpoint_key, None),
    (forged, Code.checkpoint_signature, None),
    (of_another_log, Code.origin, None),
    (checkpoints_swapped, Code.checkpoint_place, None),
    (no_checkpoint, Code.checkpoint_signature, None),
    (not_json, Code.malformed, 4),
]


def test_a_log_left_alone_is_found_whole() -> None:
    report = check(grown())
    assert report.ok and report.findings == ()
    assert (report.size, report.signed, report.anchored, report.unanchored) == (10, 9, 0, 10)
    assert report.origin == SITE


def test_stored_bytes_are_as_good_as_entries() -> None:
    log = grown()
    raw = [one.raw for one in log.entries]
    assert verify_entries(raw, log.checkpoints, KEYS) == check(log)


@pytest.mark.parametrize(("corrupt", "code", "seq"), CORRUPTIONS, ids=lambda case: getattr(case, "__name__", str(case)))
def test_a_corruption_is_found_where_it_is(corrupt: Callable[[Log], None], code: Code, seq: int | None) -> None:
    log = grown()
    corrupt(log)
    report = check(log)
    assert not report.ok
    assert (code, seq) in {(finding.code, finding.seq) for finding in report.findings}, report.findings


@given(st.integers(0, 8), st.data())
def test_any_single_change_under_a_checkpoint_is_found(seq: int, data: st.DataObject) -> None:
    log = grown()
    name = data.draw(st.sampled_from(["at", "kind", "run", "actor"]))
    value = data.draw(st.text(max_size=5))
    edit(log, seq, **{name: value})
    assert not check(log).ok


# What only a checkpoint that was published elsewhere can tell: the database's own checkpoints are gone, or the node's
# key was used to make others.


def test_the_published_checkpoint_anchors_what_it_covers() -> None:
    log = grown()
    report = check(log, [log.checkpoints[1], log.checkpoints[0]])
    assert report.ok
    assert (report.anchored, report.unanchored) == (6, 4)


def test_what_follows_from_a_finding_is_not_said_again() -> None:
    log = grown()
    edited_then_linked(log)
    assert [finding.code for finding in check(log).findings] == [Code.checkpoint_root]


def test_published_checkpoints_may_come_in_any_order() -> None:
    log = grown()
    empty = checkpoint.sign(Head(), SITE, AT, KEY)
    other = checkpoint.sign(grown(3, word="another").head, SITE, AT, KEY)
    assert check(log, [log.checkpoints[1], empty]).anchored == 6
    assert codes(check(log, [log.checkpoints[1], other])) == {Code.published_root}


def test_the_empty_log_can_be_anchored() -> None:
    report = verify_entries([], [], KEYS, [checkpoint.sign(Head(), SITE, AT, KEY)])
    assert report.ok and report.anchored == 0


def cut_with_its_checkpoints(log: Log) -> None:
    cut(log)
    del log.checkpoints[2:]


def rewritten_with_the_nodes_key(log: Log) -> None:
    other = grown(word="another")
    log.entries, log.checkpoints = other.entries, other.checkpoints


def rewritten_without_checkpoints(log: Log) -> None:
    log.entries, log.checkpoints = grown(word="another").entries, []


@pytest.mark.parametrize(
    ("corrupt", "code"),
    [
        (cut_with_its_checkpoints, Code.cut),
        (rewritten_with_the_nodes_key, Code.published_root),
        (rewritten_without_checkpoints, Code.published_root),
    ],
)
def test_what_only_the_published_checkpoint_tells(corrupt: Callable[[Log], None], code: Code) -> None:
    log = grown()
    published = [log.checkpoints[0], log.checkpoints[2]]
    corrupt(log)
    assert check(log).ok, "or this case shows nothing about publishing"
    report = check(log, published)
    assert codes(report) == {code}
    assert report.anchored == (3 if code is Code.cut else 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nothing", Code.published_signature),
        (checkpoint.sign(grown(3).head, SITE, AT, INTRUDER), Code.published_signature),
        (checkpoint.sign(grown(3).head, "another hospital", AT, KEY), Code.origin),
    ],
    ids=["no checkpoint", "foreign key", "another log"],
)
def test_a_published_checkpoint_must_itself_be_good(text: str, code: Code) -> None:
    report = check(grown(), [text])
    assert code in codes(report)


def test_a_hostile_log_does_not_fill_the_report() -> None:
    log = grown(300)
    report = verify_entries([log.entries[0]] * 300, [], KEYS)
    assert len(report.findings) == 100
    assert report.more == 199


def test_each_finding_has_words_and_a_place() -> None:
    log = grown()
    removed_several(log)
    assert str(check(log).findings[0]).startswith("entry 7: entries 2–6 are missing before it")
