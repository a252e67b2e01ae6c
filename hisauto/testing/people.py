"""People who sign for themselves, with keys that every process makes the same: of their names, so never a secret."""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hisauto.approval.sshsig import NAMESPACE
from hisauto.model.person import Person

_KIND = b"ssh-ed25519"


class Signatory:
    """A person with an Ed25519 key that makes SSH signatures, as ``ssh-keygen -Y sign`` does."""

    def __init__(self, id: str, *roles: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"hisauto.testing {id}".encode()).digest())
        self._public = _string(_KIND) + _string(self._key.public_key().public_bytes_raw())
        text = f"{_KIND.decode()} {base64.b64encode(self._public).decode()}"
        self.person = Person(id, id, frozenset(roles), (text,))

    def sign(self, message: bytes) -> str:
        """The armored signature over ``message``."""
        what = _string(NAMESPACE.encode()) + _string(b"") + _string(b"sha512")
        raw = self._key.sign(b"SSHSIG" + what + _string(hashlib.sha512(message).digest()))
        blob = b"SSHSIG" + struct.pack(">I", 1) + _string(self._public) + what + _string(_string(_KIND) + _string(raw))
        coded = base64.b64encode(blob).decode()
        lines = [coded[at : at + 70] for at in range(0, len(coded), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
