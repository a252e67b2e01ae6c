"""Exports: whole, changed in every way, and read with and without the right keys."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.audit import export, note
from hisauto.audit.report import Code, Report
from hisauto.errors import Broken

from .logs import AT, INTRUDER, KEY, SITE, grown
from .logs import exported as exported_of

LOG = grown()
EXPORT = exported_of(LOG)
LINES = EXPORT.splitlines(keepends=True)
ENTRY_4 = next(number for number, line in enumerate(LINES) if b'"seq":4}' in line)
CHECKPOINT = next(number for number, line in enumerate(LINES) if line.startswith(b'{"checkpoint"'))


def check(data: bytes, published: list[str] | None = None) -> Report:
    return export.verify(io.BytesIO(data), [KEY.verifier], published)


def codes(report: Report) -> set[Code]:
    return {finding.code for finding in report.findings}


def test_a_whole_export_verifies() -> None:
    report = check(EXPORT, LOG.checkpoints[:2])
    assert report.ok, report.findings
    assert (report.size, report.signed, report.anchored, report.unanchored) == (10, 10, 6, 4)
    assert report.origin == SITE


def test_an_empty_log_can_be_exported() -> None:
    assert check(exported_of(grown(0))).ok


def test_the_lines_are_what_the_format_says() -> None:
    header = json.loads(LINES[0])
    assert header == {
        "format": "hisauto-audit-export/1",
        "site": SITE,
        "exported_at": AT,
        "size": 10,
        "root": LOG.head.root().hex(),
        "node_keys": [KEY.name],
    }
    assert hashlib.sha256(LINES[ENTRY_4].rstrip(b"\n")).hexdigest() == LOG.entries[4].hash
    text, _ = note.open_note(json.loads(LINES[-1])["signature"], [KEY.verifier])
    assert text.split("\n")[1] == hashlib.sha256(b"".join(LINES[:-1])).hexdigest()


def resigned(lines: list[bytes]) -> bytes:
    """Signed again over what is there now, as whoever holds the node's key could."""
    body = b"".join(lines)
    text = f"{export.FORMAT}\n{hashlib.sha256(body).hexdigest()}\n"
    return (
        body
        + json.dumps({"signature": note.sign(text, KEY)}, ensure_ascii=False, separators=(",", ":")).encode()
        + b"\n"
    )


def without(number: int) -> list[bytes]:
    return LINES[:number] + LINES[number + 1 : -1]


CORRUPTIONS: dict[str, tuple[Callable[[], bytes], set[Code]]] = {
    "nothing at all": (lambda: b"", {Code.signature_missing, Code.malformed}),
    "one empty line": (lambda: b"\n", {Code.signature_missing, Code.malformed}),
    "header alone": (lambda: LINES[0], {Code.signature_missing}),
    "no header": (lambda: b"".join(LINES[1:]), {Code.malformed, Code.signature}),
    "no signature": (lambda: b"".join(LINES[:-1]), {Code.signature_missing}),
    "cut in the middle": (lambda: EXPORT[: len(EXPORT) // 2], {Code.signature_missing, Code.size}),
    "cut by its last byte": (lambda: EXPORT[:-1], {Code.signature_missing}),
    "something behind": (lambda: EXPORT + b"\n", {Code.signature_missing, Code.malformed}),
    "twice": (lambda: EXPORT + EXPORT, {Code.malformed, Code.order, Code.signature}),
    "carriage returns": (lambda: EXPORT.replace(b"\n", b"\r\n"), {Code.malformed, Code.signature_missing}),
    "an entry gone": (lambda: b"".join([*without(ENTRY_4), LINES[-1]]), {Code.missing, Code.signature, Code.size}),
    "a checkpoint gone": (lambda: b"".join([*without(CHECKPOINT), LINES[-1]]), {Code.signature}),
    "an entry edited": (
        lambda: EXPORT.replace(b"step 4", b"step 5"),
        {Code.chain, Code.checkpoint_root, Code.signature},
    ),
    "an entry not canonical": (
        lambda: EXPORT.replace(b'"rc":0,"what":"step 4"', b'"what":"step 4","rc":0'),
        {Code.malformed, Code.signature},
    ),
    "signed by another": (lambda: exported_of(LOG, INTRUDER), {Code.signature_key}),
    "signed again without an entry": (lambda: resigned(without(ENTRY_4)), {Code.missing, Code.size}),
    "signed again with a header in the middle": (lambda: resigned([*LINES[:-1], LINES[0]]), {Code.malformed}),
    "signed again, not an entry": (lambda: resigned([*LINES[:-1], b'{"x":1}\n']), {Code.malformed}),
    "signed again, not JSON": (lambda: resigned([*LINES[:-1], b"\xff\n"]), {Code.malformed}),
    "signed again, NaN": (lambda: resigned([*LINES[:-1], b'{"actor":NaN}\n']), {Code.malformed}),
    "signed again, too deep": (lambda: resigned([*LINES[:-1], b"[" * 100_000 + b"\n"]), {Code.malformed}),
    "signed again, another header": (
        lambda: resigned([LINES[0].replace(b'"size":10', b'"size":11'), *LINES[1:-1]]),
        {Code.size},
    ),
    "signed again, another root": (
        lambda: resigned([LINES[0].replace(b'"root":"', b'"root":"0'), *LINES[1:-1]]),
        {Code.size},
    ),
    "signed again, of another site": (
        lambda: resigned([LINES[0].replace(b'"site":"', b'"site":"another '), *LINES[1:-1]]),
        {Code.origin},
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_found(name: str) -> None:
    corrupt, expected = CORRUPTIONS[name]
    report = check(corrupt())
    assert not report.ok
    assert expected <= codes(report), report.findings


def test_without_its_signature_all_is_still_read() -> None:
    report = check(b"".join(LINES[:-1]))
    assert (report.size, report.signed, codes(report)) == (10, 9, {Code.signature_missing})


def test_a_signature_of_one_export_is_none_of_another() -> None:
    other = exported_of(grown(11))
    assert codes(check(b"".join(LINES[:-1]) + other.splitlines(keepends=True)[-1])) == {Code.signature}


def test_a_checkpoint_is_no_signature_of_an_export() -> None:
    last = json.dumps({"signature": LOG.checkpoints[-1]}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    assert codes(check(b"".join(LINES[:-1]) + last)) == {Code.signature}


def test_a_cut_export_that_the_node_signed_is_found_by_the_published_checkpoint() -> None:
    short = exported_of(grown(7))
    assert check(short).ok
    report = check(short, [LOG.checkpoints[2]])
    assert codes(report) == {Code.cut}
    assert "9 entries, and there are 7" in report.findings[0].words


def test_a_rewritten_export_that_the_node_signed_is_found_by_the_published_checkpoint() -> None:
    other = exported_of(grown(word="another"))
    assert check(other).ok
    assert codes(check(other, [LOG.checkpoints[0]])) == {Code.published_root}


def flipped(position: int) -> bytes:
    changed = bytearray(EXPORT)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


def test_any_flipped_bit_is_found() -> None:
    """The whole of the last line, where the signature can't help, and a sample of the rest."""
    bits = range(len(EXPORT) * 8)
    last = bits[-len(LINES[-1]) * 8 :]
    whole = os.environ.get("HISAUTO_TORTURE") == "1"
    rest = bits if whole else random.Random(6962).sample(bits, 300)
    assert [position for position in [*last, *rest] if check(flipped(position)).ok] == []


@given(st.integers(0, len(EXPORT) - 1), st.integers(0, 40), st.binary(max_size=40))
def test_any_replaced_stretch_is_found(start: int, length: int, instead: bytes) -> None:
    changed = EXPORT[:start] + instead + EXPORT[start + length :]
    assert check(changed).ok == (changed == EXPORT)


def test_what_does_not_end_in_its_head_is_not_signed() -> None:
    sink = io.BytesIO()
    with pytest.raises(Broken):
        export.write(LOG.entries[:-1], [], KEY, sink, head=LOG.head, site=SITE, exported_at=AT, node_keys=[KEY.name])
    assert Code.signature_missing in codes(check(sink.getvalue()))
