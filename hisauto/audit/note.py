"""Signed notes as C2SP has them (c2sp.org/signed-note), with Ed25519: the node's keys, signing, opening."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hisauto.errors import BadSignature, Invalid

_ED25519 = b"\x01"  # C2SP's signature type
_MARK = "— "
_MOST_SIGNATURES = 100  # so that a note can't be made costly to read


class UnknownKey(BadSignature):
    """None of the signatures is by a key that is trusted."""


@dataclass(frozen=True)
class VerifierKey:
    """A public key that is trusted, under its name. As text: ``name+keyid+base64``."""

    name: str
    public: bytes
    """The 32 bytes of an Ed25519 public key."""

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(letter.isspace() for letter in self.name):
            raise Invalid(f"{self.name!r} can't name a key", hint="no spaces and no plus sign")

    @property
    def id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || public key), its first four bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @staticmethod
    def parse(text: str) -> VerifierKey:
        """Read the text form. Raises ``Invalid``."""
        name, _, rest = text.strip().partition("+")
        claimed, _, encoded = rest.partition("+")
        blob = strict_base64(encoded)
        if blob is None or len(blob) != 33 or blob[:1] != _ED25519:
            raise Invalid("not an Ed25519 verifier key", hint="it looks like name+1a2b3c4d+AQ…=")
        key = VerifierKey(name, blob[1:])
        if key.id.hex() != claimed:
            raise Invalid(f"the verifier key of {name} is damaged: its id is {key.id.hex()}, not {claimed}")
        return key

    def holds(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class NodeKey:
    """The private key of a node, under its name."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @staticmethod
    def generate(name: str) -> NodeKey:
        return NodeKey(name, Ed25519PrivateKey.generate())

    @staticmethod
    def from_pem(name: str, pem: bytes) -> NodeKey:
        """Read PKCS #8, not encrypted. Raises ``Invalid``."""
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            # Without its cause: a parser's message may quote what it read.
            raise Invalid(f"the key of node {name} is not an unencrypted Ed25519 key in PEM form") from None
        return NodeKey(name, private)

    def to_pem(self) -> bytes:
        """PKCS #8, not encrypted: keep it in a file of mode 0600."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())


def sign(text: str, key: NodeKey) -> str:
    """The note: ``text``, which ends in a line end, a blank line and the signature line."""
    if not text.endswith("\n") or "\n\n" in text or any(ord(letter) < 32 for letter in text.replace("\n", "")):
        raise Invalid("a note is made of lines that are not empty and hold no control characters")
    signature = base64.b64encode(key.verifier.id + key.private.sign(text.encode())).decode()
    return f"{text}\n{_MARK}{key.name} {signature}\n"


def open_note(note: str, keys: Iterable[VerifierKey]) -> tuple[str, tuple[str, ...]]:
    """The text of a note and the names of the trusted keys that signed it.

    Signatures by other keys are passed over, as C2SP asks. Raises ``UnknownKey`` if no trusted key signed it,
    ``BadSignature`` if it is not a note or a trusted key's signature does not hold.
    """
    text, gap, tail = note.rpartition("\n\n")
    text += "\n"
    lines = tail.split("\n")
    if not gap or len(text) == 1 or lines.pop() != "" or not 0 < len(lines) <= _MOST_SIGNATURES:
        raise BadSignature("not a signed note")
    trusted = {(key.name, key.id): key for key in keys}
    signers: list[str] = []
    for line in lines:
        name, _, encoded = line.removeprefix(_MARK).partition(" ")
        blob = strict_base64(encoded)
        if not line.startswith(_MARK) or not name or blob is None or len(blob) <= 4:
            raise BadSignature("a signature line of the note is damaged")
        key = trusted.get((name, blob[:4]))
        if key is None:
            continue
        if not key.holds(text, blob[4:]):
            raise BadSignature(f"the signature by {name} does not hold")
        signers.append(name)
    if not signers:
        names = ", ".join(line.removeprefix(_MARK).partition(" ")[0] for line in lines)
        raise UnknownKey(f"signed by {names}, which is not a key you trust", hint="give that node's verifier key")
    return text, tuple(dict.fromkeys(signers))


def strict_base64(text: str) -> bytes | None:
    """The bytes, or None if ``text`` is not their one and only standard encoding."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if base64.b64encode(blob).decode() == text else None
