"""OpenSSH signatures (PROTOCOL.sshsig), verified here, so that a node needs no program and no file to do it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hisauto.errors import BadSignature, Invalid

NAMESPACE = "hisauto"
"""What keeps a signature for us from being one for anything else."""

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_MESSAGE_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_SK_PRESENT = 0x01  # the flag that somebody touched the security key
_RSA_LEAST = 2048  # bits
_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}
_CURVE_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_SK_ED25519, _SK_ECDSA = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
_TYPES = {
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    _SK_ED25519,
    _SK_ECDSA,
}


@dataclass(frozen=True)
class PublicKey:
    """A public key as OpenSSH writes it, without its comment."""

    type: str
    blob: bytes
    """The wire form: two texts are the same key exactly when this is the same."""

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:…``."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


def parse_public_key(text: str) -> PublicKey:
    """Read ``ssh-ed25519 AAAA… comment``. Raises ``Invalid`` for another type or form, or too short an RSA key."""
    kind, _, rest = text.strip().partition(" ")
    if kind not in _TYPES:
        raise Invalid(f"not a public key that can sign: {kind[:40]!r}", hint=f"one of {', '.join(sorted(_TYPES))}")
    encoded = rest.split(" ")[0]
    try:
        key = serialization.load_ssh_public_key(f"{kind} {encoded}".encode())
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"the {kind} public key is damaged", hint="copy the whole line of the .pub file") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_LEAST:
        raise Invalid(f"an RSA key of {key.key_size} bits is too short", hint=f"{_RSA_LEAST} at least, or ed25519")
    return PublicKey(kind, blob)


def verify(armored: str, message: bytes, public_key: str, namespace: str = NAMESPACE) -> None:
    """Return if the signature over ``message`` is by ``public_key``, else raise ``BadSignature`` with the reason.

    Raises ``Invalid`` if ``public_key`` itself is no good.
    """
    key = parse_public_key(public_key)
    outer = _Wire(_unarmored(armored))
    if outer.take(len(_MAGIC)) != _MAGIC or outer.uint32() != 1:
        raise BadSignature("not an SSH signature of version 1")
    signer, space, reserved, algorithm, signature = (outer.string() for _ in range(5))
    outer.end()
    if signer != key.blob:
        raise BadSignature(f"it was made with another key than {key.fingerprint}")
    if space != namespace.encode():
        raise BadSignature(f"it was made for {space.decode(errors='replace')!r}, not for {namespace!r}")
    if reserved:
        raise BadSignature("it holds something that nothing vouches for")  # OpenSSH signs an empty field here
    digest = _MESSAGE_HASHES.get(algorithm.decode(errors="replace"))
    if digest is None:
        raise BadSignature("it uses a hash that is not SHA-256 or SHA-512")
    signed = _MAGIC + b"".join(_string(part) for part in (space, reserved, algorithm, digest(message).digest()))
    _verify_raw(key, signature, signed)


def _verify_raw(key: PublicKey, signature: bytes, signed: bytes) -> None:
    inner = _Wire(signature)
    algorithm = inner.string().decode(errors="replace")
    raw = inner.string()
    if key.type in (_SK_ED25519, _SK_ECDSA):
        # A security key signs what it was told to, in its own wrapping: application, flags and counter.
        extra = inner.take(5)
        if not extra[0] & _SK_PRESENT:
            raise BadSignature("nobody touched the security key")
        signed = hashlib.sha256(_application(key)).digest() + extra + hashlib.sha256(signed).digest()
    inner.end()
    if algorithm not in (_RSA_HASHES if key.type == "ssh-rsa" else {key.type}):
        raise BadSignature(f"a signature of type {algorithm[:40]!r} is not accepted from a key of type {key.type}")
    loaded = serialization.load_ssh_public_key(str(key).encode())
    try:
        if isinstance(loaded, Ed25519PublicKey):
            loaded.verify(raw, signed)
        elif isinstance(loaded, ec.EllipticCurvePublicKey):
            loaded.verify(_dss(raw), signed, ec.ECDSA(_CURVE_HASHES[loaded.curve.name]))
        elif isinstance(loaded, rsa.RSAPublicKey):
            loaded.verify(raw, signed, padding.PKCS1v15(), _RSA_HASHES[algorithm])
        else:
            raise BadSignature(f"keys of type {key.type} can't be verified")
    except InvalidSignature as error:
        raise BadSignature("it does not match what was signed") from error


def _application(key: PublicKey) -> bytes:
    wire = _Wire(key.blob)
    fields = [wire.string() for _ in range(4 if key.type == _SK_ECDSA else 3)]
    return fields[-1]


def _dss(raw: bytes) -> bytes:
    """The DER form of an SSH ECDSA signature: two mpints."""
    wire = _Wire(raw)
    r, s = wire.mpint(), wire.mpint()
    wire.end()
    return encode_dss_signature(r, s)


def _unarmored(armored: str) -> bytes:
    body, end, rest = armored.removeprefix(_BEGIN).partition(_END)
    if not armored.startswith(_BEGIN) or not end or rest not in ("", "\n") or not body.endswith("\n"):
        raise BadSignature("not an armored SSH signature", hint="it begins with -----BEGIN SSH SIGNATURE-----")
    encoded = body.replace("\n", "")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("the armored SSH signature is damaged") from error
    if base64.b64encode(blob).decode() != encoded:
        raise BadSignature("the armored SSH signature is damaged")
    return blob


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


class _Wire:
    """Reads SSH's wire types (RFC 4251 section 5)."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, count: int) -> bytes:
        if count > len(self._data):
            raise BadSignature("the signature ends too early")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.uint32())

    def mpint(self) -> int:
        raw = self.string()
        number = int.from_bytes(raw, "big")
        if not number or raw != number.to_bytes(number.bit_length() // 8 + 1, "big"):
            raise BadSignature("a number in the signature is not in its shortest form")
        return number

    def end(self) -> None:
        if self._data:
            raise BadSignature("something follows the signature")
