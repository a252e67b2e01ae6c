"""known_hosts(5), read once and shared: strict, with hashed names, ``[host]:port``, patterns and ``@revoked``."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from hisauto.errors import HostKeyMismatch, Unreachable


@dataclass(frozen=True)
class _Entry:
    names: tuple[str, ...]
    kind: str
    blob: bytes
    revoked: bool


class KnownHosts:
    """The keys that hosts must show. Nothing is ever trusted because it was seen first."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Reads the files that exist. Raises ``Unreachable`` for one that can't be read."""
        self._paths = tuple(paths)
        self._entries = [e for path in paths for e in _read(path)]

    def kinds(self, address: str, port: int) -> tuple[str, ...]:
        """The key types on file for a host, so that the right one can be asked for."""
        return tuple(dict.fromkeys(e.kind for e in self._of(address, port)))

    def check(self, address: str, port: int, kind: str, blob: bytes) -> None:
        """Raises ``HostKeyMismatch``, or ``Unreachable`` for a host that isn't on file."""
        name = _name(address, port)
        shown = f"{kind} {fingerprint(blob)}"
        files = ", ".join(map(str, self._paths)) or "no file"
        if any(e.revoked and e.blob == blob for e in self._entries):
            raise HostKeyMismatch(f"{name} shows a key that is revoked in {files}: {shown}")
        known = self._of(address, port)
        if not known:
            raise Unreachable(
                f"{name} is not in known_hosts ({files}); it shows {shown}",
                hint="compare that fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub at its "
                f"console), then add the key under the name {name}",
            )
        if not any(e.blob == blob for e in known):
            expected = ", ".join(f"{e.kind} {fingerprint(e.blob)}" for e in known)
            raise HostKeyMismatch(
                f"{name} shows {shown}, but known_hosts ({files}) has {expected}",
                hint="someone may stand in between, or the host was installed anew: find out which at its console; "
                f"only then replace it (ssh-keygen -R '{name}')",
            )

    def _of(self, address: str, port: int) -> list[_Entry]:
        name = _name(address, port)
        return [e for e in self._entries if not e.revoked and _matches(e.names, name)]


def fingerprint(blob: bytes) -> str:
    """As ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()


def _name(address: str, port: int) -> str:
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"


def _read(path: Path) -> list[_Entry]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as e:
        raise Unreachable(f"known_hosts {path} can't be read: {e.strerror}") from e
    entries = []
    for line in lines:
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        # Certificate authorities are not supported: such a line vouches for nothing here.
        if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except ValueError:
            continue
        entries.append(_Entry(tuple(words[0].split(",")), words[1], blob, marker == "@revoked"))
    return entries


def _matches(patterns: Sequence[str], name: str) -> bool:
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if _one(pattern[1:], name):
                return False
        else:
            found |= _one(pattern, name)
    return found


def _one(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
        except ValueError:
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)
    # Square brackets belong to the name ([host]:port); only * and ? are wildcards there.
    return fnmatchcase(name, pattern.lower().replace("[", "[[]"))
