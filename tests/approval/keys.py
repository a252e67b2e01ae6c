"""Keys and signatures without a program: fast enough for laws. ``test_sshsig`` holds them against ``ssh-keygen``."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def armor(blob: bytes) -> str:
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[start : start + 70] for start in range(0, len(encoded), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


class Key:
    """An Ed25519 key."""

    kind = b"ssh-ed25519"

    def __init__(self, number: int) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))

    @property
    def blob(self) -> bytes:
        return string(self.kind) + string(self.private.public_key().public_bytes_raw())

    @property
    def public(self) -> str:
        return f"{self.kind.decode()} {base64.b64encode(self.blob).decode()}"

    def raw(self, signed: bytes) -> bytes:
        return string(self.kind) + string(self.private.sign(signed))

    def sign(
        self,
        message: bytes,
        namespace: bytes = b"hisauto",
        *,
        magic: bytes = b"SSHSIG",
        version: int = 1,
        reserved: bytes = b"",
        algorithm: bytes = b"sha512",
        after: bytes = b"",
        raw: Callable[[bytes], bytes] | None = None,
    ) -> str:
        digest = hashlib.new(algorithm.decode(), message).digest()
        fields = string(namespace) + string(reserved) + string(algorithm)
        signature = (raw or self.raw)(b"SSHSIG" + fields + string(digest))
        return armor(magic + struct.pack(">I", version) + string(self.blob) + fields + string(signature) + after)


class SecurityKey(Key):
    """What a FIDO key would sign, by software: ``sk-ssh-ed25519``."""

    kind = b"sk-ssh-ed25519@openssh.com"
    flags = 1

    @property
    def blob(self) -> bytes:
        return super().blob + string(b"ssh:")

    def wrapped(self, signed: bytes) -> tuple[bytes, bytes]:
        extra = bytes([self.flags]) + struct.pack(">I", 7)
        return hashlib.sha256(b"ssh:").digest() + extra + hashlib.sha256(signed).digest(), extra

    def raw(self, signed: bytes) -> bytes:
        wrapped, extra = self.wrapped(signed)
        return string(self.kind) + string(self.private.sign(wrapped)) + extra


class EcdsaSecurityKey(SecurityKey):
    """The same for ``sk-ecdsa-sha2-nistp256``."""

    kind = b"sk-ecdsa-sha2-nistp256@openssh.com"

    def __init__(self, number: int) -> None:
        self.ecdsa = ec.derive_private_key(number, ec.SECP256R1())

    @property
    def blob(self) -> bytes:
        point = self.ecdsa.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return string(self.kind) + string(b"nistp256") + string(point) + string(b"ssh:")

    def raw(self, signed: bytes) -> bytes:
        wrapped, extra = self.wrapped(signed)
        r, s = decode_dss_signature(self.ecdsa.sign(wrapped, ec.ECDSA(hashes.SHA256())))
        return string(self.kind) + string(mpint(r) + mpint(s)) + extra
