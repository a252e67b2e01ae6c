"""An export: JSON Lines that prove themselves to whoever holds the nodes' public keys.

A header line, the entries with each checkpoint where it was made, and a last line: a signed note over the SHA-256 of
all bytes before it. An entry's line is its canonical bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from hisauto.audit import canonical, note
from hisauto.audit.entry import Entry
from hisauto.audit.merkle import Head
from hisauto.audit.note import NodeKey, UnknownKey, VerifierKey
from hisauto.audit.report import Code, Report
from hisauto.audit.verify import Verifier, interleave
from hisauto.errors import BadSignature, Broken

FORMAT = "hisauto-audit-export/1"
_HEADER = {"format", "site", "exported_at", "size", "root", "node_keys"}
_START = "start"


def write(
    entries: Iterable[Entry | bytes],
    checkpoints: Iterable[str],
    key: NodeKey,
    sink: BinaryIO,
    *,
    head: Head,
    site: str,
    exported_at: str,
    node_keys: Iterable[str],
    start: Head | None = None,
) -> None:
    """Write the log from ``start`` (else its beginning) up to ``head``, and sign it.

    ``checkpoints`` come by size and none is beyond ``head``: read all in one transaction. ``exported_at`` is RFC 3339;
    ``node_keys`` are the names of the keys that signed checkpoints. Raises ``Broken`` if the entries don't end in
    ``head``: what was written till then has no signature and is to be thrown away.
    """
    digest = hashlib.sha256()

    def put(raw: bytes) -> None:
        digest.update(raw + b"\n")
        sink.write(raw + b"\n")

    put(
        canonical.dumps(
            {
                "format": FORMAT,
                "site": site,
                "exported_at": exported_at,
                "size": head.size,
                "root": head.root().hex(),
                "node_keys": sorted(set(node_keys)),
            }
            | ({_START: start.to_json()} if start is not None and start.size else {})
        )
    )
    seen = start or Head()
    for item in interleave(entries, checkpoints, seen.size):
        if isinstance(item, str):
            put(canonical.dumps({"checkpoint": item}))
        else:
            raw = item.raw if isinstance(item, Entry) else item
            seen = seen.append(raw)
            put(raw)
    if seen != head:
        raise Broken("the log is not what its head says, so no export was signed", hint="hisauto audit verify")
    put(canonical.dumps({"signature": note.sign(_signed_text(digest.hexdigest()), key)}))


def verify(lines: Iterable[bytes], trusted: Iterable[VerifierKey], published: Iterable[str] | None = None) -> Report:
    """Verify an export, read line by line (each with its line end, as a binary file gives them).

    ``trusted`` keys and ``published`` checkpoints come from outside the export. Never raises for what it finds.
    """
    keys = tuple(trusted)
    verifier = Verifier(keys, published)
    read(lines, verifier, keys)
    return verifier.finish()


def read(lines: Iterable[bytes], verifier: Verifier, keys: tuple[VerifierKey, ...]) -> None:
    """Have one export or archive verified; several, in order, are the parts of one log."""
    reader = _Reader(verifier, keys)
    number, digest = 0, hashlib.sha256()
    for number, line, is_last in _numbered(lines):
        if is_last:
            reader.last(number, line, digest.hexdigest())
        else:
            reader.line(number, line)
            digest.update(line)
    if number < 2:
        verifier.report(Code.signature_missing, "the export ends before anything was signed")
    reader.close()


class _Reader:
    """Sorts the lines of an export."""

    def __init__(self, verifier: Verifier, keys: tuple[VerifierKey, ...]) -> None:
        self._verifier = verifier
        self._keys = keys
        self._header: dict[str, Any] | None = None

    def line(self, number: int, line: bytes) -> None:
        raw = line.removesuffix(b"\n")
        if raw.startswith(b'{"actor":'):  # by far the most; the rest of it is checked there
            self._verifier.entry(raw, line=number)
            return
        try:
            value = canonical.loads(raw)
        except Broken as error:
            self._verifier.report(Code.malformed, str(error), line=number)
            return
        start = _start(value) if number == 1 else None
        if start is not None:
            self._header = value
            self._verifier.origin(value["site"], line=number)
            self._verifier.begin(start, line=number)
        elif isinstance(value, dict) and value.keys() == {"checkpoint"} and isinstance(value["checkpoint"], str):
            self._verifier.checkpoint(value["checkpoint"], line=number)
        else:
            self._verifier.report(Code.malformed, "neither an entry nor a checkpoint", line=number)

    def last(self, number: int, line: bytes, digest: str) -> None:
        try:
            value = canonical.loads(line.removesuffix(b"\n")) if line.endswith(b"\n") else None
        except Broken:
            value = None
        if not isinstance(value, dict) or value.keys() != {"signature"} or not isinstance(value["signature"], str):
            self._verifier.report(Code.signature_missing, "the export does not end in its signature", line=number)
            self.line(number, line)
            return
        try:
            text, _ = note.open_note(value["signature"], self._keys)
            if text != _signed_text(digest):
                raise BadSignature("what was signed is not this export")
        except UnknownKey as error:
            self._verifier.report(Code.signature_key, f"the export is {error}", line=number)
        except BadSignature as error:
            self._verifier.report(Code.signature, f"the export was changed after it was signed: {error}", line=number)
        else:
            self._verifier.vouched()

    def close(self) -> None:
        head = self._verifier.head
        if self._header is None:
            self._verifier.report(Code.malformed, f"it does not begin with the header of {FORMAT}", line=1)
        elif self._header["size"] != head.size:
            words = f"the header says {self._header['size']} entries, and there are {head.size}"
            self._verifier.report(Code.size, words)
        elif self._header["root"] != head.root().hex():
            self._verifier.report(Code.size, "the entries are not those that the header counts")


def _start(header: Any) -> Head | None:
    """Where the entries under this header begin; None if it is none."""
    if (
        not isinstance(header, dict)
        or header.keys() - {_START} != _HEADER
        or header["format"] != FORMAT
        or not isinstance(header["site"], str)
    ):
        return None
    try:
        return Head.from_json(header[_START]) if _START in header else Head()
    except Broken:
        return None


def _signed_text(digest: str) -> str:
    # The format's name keeps the signature of an export from ever being one of a checkpoint.
    return f"{FORMAT}\n{digest}\n"


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Number, line, and whether it is the last: one line is held back."""
    held: bytes | None = None
    number = 0
    for line in lines:
        if held is not None:
            yield number, held, False
        number, held = number + 1, line
    if held is not None:
        yield number, held, True
