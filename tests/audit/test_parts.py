"""A log in several files, as archives and an export: whole, and with a part that is gone, changed or another's."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest

from hisauto.audit import export
from hisauto.audit.merkle import Head
from hisauto.audit.report import Code, Report
from hisauto.audit.verify import Verifier, verify_entries

from .logs import AT, INTRUDER, KEY, SITE, Log, grown

KEYS = (KEY.verifier,)
LOG = grown(12, every=3)
CUTS = (0, 3, 9, 12)


def head(log: Log, size: int) -> Head:
    found = Head()
    for one in log.entries[:size]:
        found = found.append(one.raw)
    return found


def part(first: int, size: int, log: Log = LOG, key: object = KEY, start: Head | None = None) -> bytes:
    sink = io.BytesIO()
    notes = [text for text, over in zip(log.checkpoints, range(3, 99, 3), strict=False) if first < over <= size]
    export.write(
        log.entries[first:size], notes, KEY if key is KEY else INTRUDER, sink, head=head(log, size), site=SITE,
        exported_at=AT, node_keys=[KEY.name], start=start or head(log, first),
    )  # fmt: skip
    return sink.getvalue()


PARTS = [part(first, size) for first, size in pairwise(CUTS)]
OTHER = grown(12, every=3, word="another")


def check(*parts: bytes, published: list[str] | None = None) -> Report:
    verifier = Verifier(KEYS, published)
    for number, one in enumerate(parts):
        verifier.source = f"part {number}"
        export.read(io.BytesIO(one), verifier, KEYS)
    return verifier.finish()


def codes(report: Report) -> set[Code]:
    return {finding.code for finding in report.findings}


def test_all_parts_are_the_log() -> None:
    report = check(*PARTS, published=LOG.checkpoints)
    assert report.findings == ()
    assert (report.begins, report.size, report.signed, report.anchored) == (0, 12, 12, 12)


@pytest.mark.parametrize("first", [1, 2])
def test_later_parts_verify_without_the_first_and_say_so(first: int) -> None:
    report = check(*PARTS[first:], published=LOG.checkpoints)
    assert report.findings == ()
    assert (report.begins, report.size, report.anchored) == (CUTS[first], 12, 12)


def test_a_database_goes_on_from_its_archives() -> None:
    report = verify_entries(LOG.entries[9:], LOG.checkpoints[2:], KEYS, LOG.checkpoints, start=head(LOG, 9))
    assert report.findings == () and (report.begins, report.anchored) == (9, 12)
    verifier = Verifier(KEYS, LOG.checkpoints)
    for one in PARTS[:2]:
        export.read(io.BytesIO(one), verifier, KEYS)
    verifier.stored(head(LOG, 9), [one.raw for one in LOG.entries[9:]], LOG.checkpoints[2:])
    assert verifier.finish().findings == ()


def shifted() -> bytes:
    """The true last part under a start that says something else of what was before: as if that had been another log."""
    return part(9, 12, OTHER, start=None)


CORRUPTIONS: dict[str, tuple[list[bytes], set[Code]]] = {
    "the middle one gone": ([PARTS[0], PARTS[2]], {Code.gap}),
    "swapped": ([PARTS[1], PARTS[0], PARTS[2]], {Code.gap}),
    "the first one twice": ([PARTS[0], *PARTS], {Code.gap}),
    "spliced: the end of another log": ([*PARTS[:2], shifted()], {Code.gap}),
    "spliced: the beginning of another log": ([part(0, 3, OTHER), *PARTS[1:]], {Code.gap}),
    "the last one cut off": (PARTS[:2], {Code.cut}),
    "signed by another": ([PARTS[0], part(3, 9, key=INTRUDER), PARTS[2]], {Code.signature_key}),
    "an entry edited in the middle": ([PARTS[0], PARTS[1].replace(b"step 4", b"step 5"), PARTS[2]],
                                      {Code.chain, Code.checkpoint_root, Code.signature}),
    "a start that lies": ([PARTS[0], PARTS[1].replace(b'"start":{"last":"', b'"start":{"last":"0', 1), PARTS[2]],
                          {Code.malformed}),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_of_the_parts_is_found(name: str) -> None:
    parts, expected = CORRUPTIONS[name]
    report = check(*parts, published=LOG.checkpoints)
    assert expected <= codes(report), report.findings


def test_a_finding_names_its_file() -> None:
    report = check(PARTS[0], PARTS[1].replace(b"step 4", b"step 5"), PARTS[2])
    assert [finding.code for finding in report.findings if finding.file == "part 2"] == [Code.gap]
    assert str(report.findings[0]).startswith("part 1, line 4, entry 5: ")


def test_a_start_that_was_made_up_is_found_by_the_first_checkpoint() -> None:
    """Entries that are true, after a beginning that is not: the peaks are part of every root that was signed."""
    lie = Head(head(LOG, 9).last, head(OTHER, 9).peaks)
    report = verify_entries(LOG.entries[9:], LOG.checkpoints[3:], KEYS, start=lie)
    assert codes(report) == {Code.checkpoint_root}
    lie = Head(head(OTHER, 9).last, head(LOG, 9).peaks)
    assert Code.chain in codes(verify_entries(LOG.entries[9:], LOG.checkpoints[3:], KEYS, start=lie))


def test_any_flipped_bit_of_a_start_is_found() -> None:
    line = PARTS[2].splitlines(keepends=True)[0]
    for position in range(len(line) * 8):
        changed = bytearray(PARTS[2])
        changed[position // 8] ^= 1 << position % 8
        assert not check(bytes(changed)).ok
