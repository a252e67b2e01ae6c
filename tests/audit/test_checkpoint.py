"""Signed notes against the vectors of the format's authors, and what a checkpoint refuses."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hisauto.audit import checkpoint, note
from hisauto.audit.merkle import Head
from hisauto.audit.note import NodeKey, UnknownKey, VerifierKey
from hisauto.errors import BadSignature, Invalid

# From the documentation of golang.org/x/mod/sumdb/note, which the format was first written down in.
VECTOR_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
VECTOR = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
AT = "2026-11-23T03:00:00.000Z"
# Fixed, so that the names of the cases are the same in every process of a parallel run.
KEY = NodeKey("hospital/node-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = NodeKey("hospital/node-2", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
HEAD = Head().append(b"one").append(b"two")
TEXT = checkpoint.sign(HEAD, "hospital", AT, KEY)


def test_a_note_signed_by_another_implementation_opens() -> None:
    key = VerifierKey.parse(VECTOR_KEY)
    assert str(key) == VECTOR_KEY
    text, signers = note.open_note(VECTOR, [key])
    assert text.startswith("If you think") and text.endswith("is.\n")
    assert signers == ("PeterNeumann",)


def test_a_checkpoint_says_what_was_signed() -> None:
    said = checkpoint.verify(TEXT, [OTHER.verifier, KEY.verifier])
    assert said == checkpoint.Checkpoint("hospital", 2, HEAD.root(), AT, ("hospital/node-1",))
    assert TEXT.split("\n")[:3] == ["hospital", "2", base64.b64encode(HEAD.root()).decode()]
    assert checkpoint.claimed_size(TEXT) == 2


def test_the_empty_log_can_be_signed() -> None:
    text = checkpoint.sign(Head(), "hospital", AT, KEY)
    assert checkpoint.verify(text, [KEY.verifier]).size == 0


def test_a_further_signature_does_not_disturb() -> None:
    body, _ = note.open_note(TEXT, [KEY.verifier])
    both = TEXT + note.sign(body, OTHER).rpartition("\n\n")[2]
    assert checkpoint.verify(both, [KEY.verifier]).signers == (KEY.name,)
    assert checkpoint.verify(both, [KEY.verifier, OTHER.verifier]).signers == (KEY.name, OTHER.name)
    broken = both.replace("\n2\n", "\n3\n")
    with pytest.raises(BadSignature):
        checkpoint.verify(broken, [KEY.verifier])


def test_a_foreign_key_is_told_from_a_bad_signature() -> None:
    with pytest.raises(UnknownKey, match="hospital/node-1"):
        checkpoint.verify(TEXT, [OTHER.verifier])
    namesake = NodeKey.generate(KEY.name)
    with pytest.raises(UnknownKey):
        checkpoint.verify(TEXT, [namesake.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        TEXT.removesuffix("\n"),
        TEXT + "\n",
        TEXT.replace("\n\n", "\n"),
        TEXT.replace("— ", "- "),
        TEXT.replace("hospital\n", "hospice\n"),
        TEXT.replace("\n2\n", "\n1\n"),
        TEXT.replace("Z\n", "Z\n\n", 1),
        TEXT.replace("=\n", "\n"),
        TEXT + TEXT.splitlines()[-1] + "x\n",
        TEXT + (TEXT.splitlines()[-1] + "\n") * 100,
        "\ud800\n" + TEXT,
        TEXT.replace("— ", ""),
        (TEXT + TEXT.splitlines()[-1]),
    ],
    ids=range(15),
)
def test_a_damaged_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadSignature):
        checkpoint.verify(text, [KEY.verifier])


@pytest.mark.parametrize("body", ["a\n", "a\n1\n", "a\n01\nAA==\n", "a\n1\nAA==\n", "a\n-1\n" + "A" * 43 + "=\n"])
def test_a_signed_note_that_is_no_checkpoint_is_refused(body: str) -> None:
    with pytest.raises(BadSignature, match="not a checkpoint"):
        checkpoint.verify(note.sign(body, KEY), [KEY.verifier])


def test_every_flipped_bit_is_seen() -> None:
    raw = TEXT.encode()
    for position in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(BadSignature):
            checkpoint.verify(flipped.decode("utf-8", "surrogateescape"), [KEY.verifier])


def test_a_key_survives_its_file() -> None:
    pem = KEY.to_pem()
    again = NodeKey.from_pem(KEY.name, pem)
    assert again.verifier == KEY.verifier == VerifierKey.parse(f" {KEY.verifier}\n")
    assert pem.splitlines()[1].decode() not in repr(KEY)


@pytest.mark.parametrize("pem", [b"", b"no key", KEY.to_pem()[:60], KEY.to_pem().replace(b"M", b"m")])
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    with pytest.raises(Invalid, match="node-9"):
        NodeKey.from_pem("node-9", pem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x+y+z",
        VECTOR_KEY[:-1],
        VECTOR_KEY.replace("c7", "c8"),
        VECTOR_KEY.replace("+AR", "+BR"),
        "+" + VECTOR_KEY,
    ],
)
def test_a_damaged_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_key_needs_a_name_that_a_note_can_hold(name: str) -> None:
    with pytest.raises(Invalid):
        VerifierKey(name, KEY.verifier.public)


@pytest.mark.parametrize("origin", ["", "a\nb", "a\x00"])
def test_a_log_needs_a_name_that_a_note_can_hold(origin: str) -> None:
    with pytest.raises(Invalid):
        checkpoint.sign(HEAD, origin, AT, KEY)
