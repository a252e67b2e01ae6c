"""The verification of a log, entry by entry and in constant memory: one core for exports and for databases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hisauto.audit import checkpoint, entry
from hisauto.audit.checkpoint import Checkpoint
from hisauto.audit.entry import Entry
from hisauto.audit.merkle import Head
from hisauto.audit.note import UnknownKey, VerifierKey
from hisauto.audit.report import Code, Finding, Report
from hisauto.errors import BadSignature, Broken, Invalid

_LISTED = 100  # findings in a report; a hostile log must not fill the memory
_ONCE = {Code.checkpoint_place, Code.checkpoint_root, Code.published_root}  # the later ones follow from the first


def verify_entries(
    entries: Iterable[Entry | bytes],
    checkpoints: Iterable[str],
    keys: Iterable[VerifierKey],
    published: Iterable[str] | None = None,
    *,
    origin: str | None = None,
    start: Head | None = None,
) -> Report:
    """Verify a log as a database holds it.

    ``entries`` in their order, as canonical bytes if what is stored may be damaged; ``checkpoints`` by size;
    ``keys`` and the ``published`` checkpoints from outside the database; ``start`` is where the entries begin, if those
    before were archived. Never raises for what it finds.
    """
    verifier = Verifier(keys, published, origin=origin)
    verifier.stored(start or Head(), entries, checkpoints)
    return verifier.finish()


def interleave(
    entries: Iterable[Entry | bytes], checkpoints: Iterable[str], begin: int = 0
) -> Iterator[Entry | bytes | str]:
    """Entries from ``begin`` on, and each checkpoint (text) as soon as there are as many entries as it says."""
    pending = iter(checkpoints)
    text = next(pending, None)
    for count, item in enumerate(entries, begin):
        while text is not None and (checkpoint.claimed_size(text) or 0) <= count:
            yield text
            text = next(pending, None)
        yield item
    if text is not None:
        yield text
        yield from pending


class Verifier:
    """Takes entries and checkpoints in the order of the log; ``finish`` tells."""

    def __init__(
        self, keys: Iterable[VerifierKey], published: Iterable[str] | None = None, *, origin: str | None = None
    ) -> None:
        self._keys = tuple(keys)
        self._origin = origin
        self._findings: list[Finding] = []
        self._more = 0
        self._said: set[Code] = set()
        self._next = 0  # the sequence number that is due
        self._signed = 0
        self._anchored = 0
        self._most: Checkpoint | None = None  # the one over most entries
        self.source: str | None = None
        """The file that is being read, for the findings."""
        self.head = Head()
        self._begins: int | None = None
        self._published = self._open_published(published or ())
        self._anchor()

    def report(self, code: Code, words: str, *, seq: int | None = None, line: int | None = None) -> None:
        if code in _ONCE and code in self._said:
            return
        self._said.add(code)
        if len(self._findings) < _LISTED:
            self._findings.append(Finding(code, words, seq, line, self.source))
        else:
            self._more += 1

    def begin(self, start: Head, *, line: int | None = None) -> None:
        """Say where the entries that come now begin: anywhere for the first of several files, else where it ended."""
        if self._begins is None:
            self._begins = start.size
        elif start != self.head:
            words = f"it begins at entry {start.size}, and does not continue what came before, {self.head.size} entries"
            self.report(Code.gap, words, line=line)
        self.head, self._next = start, start.size
        self._published = [one for one in self._published if one.size >= start.size]
        self._anchor()

    def origin(self, name: str, *, line: int | None = None) -> None:
        """Say which log it is; the first word on it counts."""
        if self._origin is None:
            self._origin = name
        elif name != self._origin:
            self.report(Code.origin, f"it is of the log {name!r}, not of {self._origin!r}", line=line)

    def entry(self, item: Entry | bytes, *, line: int | None = None) -> None:
        try:
            one = item if isinstance(item, Entry) else entry.parse(item)
            raw = one.raw
        except (Broken, Invalid) as error:
            self.report(Code.malformed, str(error), seq=self._next, line=line)
            self._advance(item if isinstance(item, bytes) else b"", self._next + 1)
            return
        if one.seq > self._next:
            gone = f"entry {self._next} is" if one.seq == self._next + 1 else f"entries {self._next}–{one.seq - 1} are"
            self.report(Code.missing, f"{gone} missing before it", seq=one.seq, line=line)
        elif one.seq < self._next:
            words = f"entry {self._next} is due here: this one is repeated, swapped or put in"
            self.report(Code.order, words, seq=one.seq, line=line)
        elif one.prev != self.head.last:
            words = "it does not continue the entry before it: one of the two is not as it was written"
            self.report(Code.chain, words, seq=one.seq, line=line)
        self._advance(raw, one.seq + 1)

    def checkpoint(self, text: str, *, line: int | None = None) -> None:
        try:
            said = checkpoint.verify(text, self._keys)
        except UnknownKey as error:
            self.report(Code.checkpoint_key, f"a checkpoint is {error}", line=line)
            return
        except BadSignature as error:
            self.report(Code.checkpoint_signature, f"a checkpoint can't be relied on: {error}", line=line)
            return
        self.origin(said.origin, line=line)
        self._most = max(self._most, said, key=lambda one: one.size) if self._most else said
        if said.size != self.head.size:
            words = f"a signed checkpoint over {said.size} entries stands after {self.head.size}"
            self.report(Code.checkpoint_place, words, line=line)
        elif said.root != self.head.root():
            words = f"the first {said.size} entries are not those that {_who(said)} signed"
            self.report(Code.checkpoint_root, words, seq=said.size - 1 if said.size else None, line=line)
        else:
            self._signed = said.size

    def stored(self, start: Head, entries: Iterable[Entry | bytes], checkpoints: Iterable[str]) -> None:
        """Take what a database holds, from ``start`` on."""
        self.begin(start)
        for item in interleave(entries, checkpoints, start.size):
            if isinstance(item, str):
                self.checkpoint(item)
            else:
                self.entry(item)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """So far."""
        return tuple(self._findings)

    @property
    def anchored(self) -> int:
        """So far: how many of the first entries a published checkpoint vouches for."""
        return self._anchored

    def vouched(self) -> None:
        """A trusted key signed all that was seen."""
        self._signed = self.head.size

    def finish(self) -> Report:
        most = max((one for one in (self._most, *self._published) if one), key=lambda one: one.size, default=None)
        if most is not None and most.size > self.head.size:
            words = f"{_who(most)} signed a checkpoint over {most.size} entries, and there are {self.head.size}"
            self.report(Code.cut, f"the log was cut: {words}")
        return Report(
            self.head.size, self._signed, self._anchored, self.findings, self._more, self._origin, self._begins or 0
        )

    def _advance(self, raw: bytes, due: int) -> None:
        self.head = self.head.append(raw)
        self._next = due
        self._anchor()

    def _open_published(self, texts: Iterable[str]) -> list[Checkpoint]:
        opened: list[Checkpoint] = []
        for number, text in enumerate(texts, 1):
            try:
                said = checkpoint.verify(text, self._keys)
            except BadSignature as error:
                self.report(Code.published_signature, f"published checkpoint {number} can't be relied on: {error}")
                continue
            self.origin(said.origin)
            opened.append(said)
        return sorted(opened, key=lambda one: one.size)

    def _anchor(self) -> None:
        while self._published and self._published[0].size == self.head.size:
            said = self._published.pop(0)
            if said.root == self.head.root():
                self._anchored = said.size
            else:
                words = f"the first {said.size} entries are not those of which {_who(said)} published a checkpoint"
                self.report(Code.published_root, words)


def _who(said: Checkpoint) -> str:
    return " and ".join(said.signers) + (f" at {said.at}" if said.at else "")
