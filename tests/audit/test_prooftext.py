"""Proofs as files: in the forms of C2SP, checked with a key and nothing else, and refused when anything is changed."""

from __future__ import annotations

import base64

import pytest

from hisauto.audit import checkpoint, note, prooftext
from hisauto.audit.merkle import Head, Peaks, leaf_hash
from hisauto.audit.proof import consistency_ranges, inclusion_ranges, subtree_roots
from hisauto.errors import Broken, HisautoError, Invalid

from .logs import AT, INTRUDER, KEY, SITE, grown

LOG = grown(11, every=4)
HASHES = [leaf_hash(one.raw) for one in LOG.entries]
KEYS = [KEY.verifier]
SIGNED = checkpoint.sign(LOG.head, SITE, AT, KEY)
OLD = checkpoint.verify(LOG.checkpoints[0], KEYS)


def of_entry(index: int, signed: str = SIGNED) -> str:
    path = subtree_roots(Peaks(), HASHES, inclusion_ranges(index, 11))
    return prooftext.of_entry(LOG.entries[index].raw, index, path, signed)


def of_growth(signed: str = SIGNED, old: int = OLD.size) -> str:
    return prooftext.of_growth(old, subtree_roots(Peaks(), HASHES, consistency_ranges(old, 11)), signed)


def checked(text: str) -> int:
    """The entry that is proven."""
    said = prooftext.read(text)
    assert said.raw is not None
    return prooftext.check_entry(said, said.raw, KEYS)[0].seq


def test_a_proof_has_the_form_of_its_standard() -> None:
    lines = of_entry(5).split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert base64.b64decode(lines[1].removeprefix("extra ")) == LOG.entries[5].raw
    assert lines[2] == "index 5"
    assert [len(base64.b64decode(line)) for line in lines[3:7]] == [32] * 4
    assert "\n".join(lines[7:]) == f"\n{SIGNED}"
    assert of_growth().split("\n")[0] == "old 4"


def test_every_entry_is_proven() -> None:
    assert [checked(of_entry(index)) for index in range(11)] == list(range(11))


def test_growth_is_proven_from_an_older_checkpoint() -> None:
    assert prooftext.check_growth(prooftext.read(of_growth()), OLD, KEYS).size == 11


def test_the_entry_may_come_by_itself() -> None:
    lines = of_entry(5).split("\n")
    said = prooftext.read("\n".join([lines[0], *lines[2:]]))
    assert said.raw is None
    assert prooftext.check_entry(said, LOG.entries[5].raw, KEYS)[0] == LOG.entries[5]
    with pytest.raises(Broken, match="this is entry 6"):
        prooftext.check_entry(said, LOG.entries[6].raw, KEYS)


def test_another_entry_of_the_same_number_is_not_proven() -> None:
    other = grown(11, word="another").entries[5]
    with pytest.raises(Broken, match="does not prove"):
        prooftext.check_entry(prooftext.read(of_entry(5)), other.raw, KEYS)


def test_a_rewritten_log_that_the_node_signed_does_not_continue_the_old_one() -> None:
    other = grown(11, word="another")
    signed = checkpoint.sign(other.head, SITE, AT, KEY)
    path = subtree_roots(Peaks(), [leaf_hash(one.raw) for one in other.entries], consistency_ranges(4, 11))
    with pytest.raises(Broken, match="does not prove"):
        prooftext.check_growth(prooftext.read(prooftext.of_growth(4, path, signed)), OLD, KEYS)


@pytest.mark.parametrize(
    ("signed", "old", "words"),
    [
        (checkpoint.sign(LOG.head, "another hospital", AT, KEY), 4, "of the log 'another hospital'"),
        (SIGNED, 8, "begins at 8 entries"),
        (checkpoint.sign(Head(), SITE, AT, KEY), 4, "does not prove"),
        (checkpoint.sign(LOG.head, SITE, AT, INTRUDER), 4, "not a key you trust"),
        (note.sign("a\n", KEY), 4, "not a checkpoint"),
    ],
    ids=["another log", "another size", "empty log", "foreign key", "no checkpoint"],
)
def test_growth_is_not_proven_by(signed: str, old: int, words: str) -> None:
    with pytest.raises(HisautoError, match=words):
        prooftext.check_growth(prooftext.read(of_growth(signed, old)), OLD, KEYS)


@pytest.mark.parametrize("text", [of_entry(5), of_growth()], ids=["entry", "growth"])
def test_every_flipped_bit_of_a_proof_is_seen(text: str) -> None:
    raw = text.encode()
    survived = []
    for position in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[position // 8] ^= 1 << position % 8
        try:
            said = prooftext.read(changed.decode("utf-8", "surrogateescape"))
            if said.index is not None:
                checked(changed.decode("utf-8", "surrogateescape"))
            else:
                prooftext.check_growth(said, OLD, KEYS)
            survived.append(position)
        except (HisautoError, AssertionError) as error:
            assert not isinstance(error, AssertionError) or said.raw is None
    assert survived == []


GOOD = of_entry(5)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("rubbish", 1),
        ("index 5\n", 1),
        (GOOD.replace("extra ", "extra !"), 2),
        (GOOD.replace("index 5", "index 05"), 3),
        (GOOD.replace("index 5", "old 5"), 3),
        (GOOD.replace("index 5\n", "index 5\nAA==\n"), 4),
        (GOOD.partition("\n\n")[0], 7),
    ],
)
def test_what_is_no_proof_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(Invalid, match=f"line {line} of the proof"):
        prooftext.read(text)


def test_a_proof_is_no_longer_than_any_log_needs() -> None:
    with pytest.raises(Invalid, match="at most 63 hashes"):
        prooftext.read(GOOD.replace("index 5\n", "index 5\n" + f"{'A' * 43}=\n" * 64))
