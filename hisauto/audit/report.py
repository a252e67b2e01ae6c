"""What a verification found, in codes for machines and in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What is wrong."""

    malformed = "malformed"  # not what the format allows at this place
    missing = "missing"  # entries are gone
    order = "order"  # an entry where it can't be: repeated, swapped or put in
    chain = "chain"  # an entry does not continue the one before it
    gap = "gap"  # an export or archive does not continue the one before it
    origin = "origin"  # of another log
    checkpoint_signature = "checkpoint_signature"  # not signed, or not this, by the key it names
    checkpoint_key = "checkpoint_key"  # signed by no trusted key
    checkpoint_place = "checkpoint_place"  # not where the log had the size it names
    checkpoint_root = "checkpoint_root"  # the log is not the one that was signed
    published_signature = "published_signature"  # a published checkpoint can't be relied on
    published_root = "published_root"  # the log was rewritten after it was published
    cut = "cut"  # the log ends before a size that was signed
    size = "size"  # an export does not hold what its header says
    signature_missing = "signature_missing"  # an export does not end in its signature
    signature = "signature"  # an export's signature does not hold
    signature_key = "signature_key"  # an export is signed by no trusted key
    row = "row"  # the database's tables say something else than the log


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and where."""

    code: Code
    words: str
    seq: int | None = None
    """The entry, if it is about one."""
    line: int | None = None
    """The line of the export, from 1."""
    file: str | None = None
    """The export or archive, where there are several."""

    def __str__(self) -> str:
        place = [self.file] if self.file is not None else []
        place += [f"line {self.line}"] if self.line is not None else []
        place += [f"entry {self.seq}"] if self.seq is not None else []
        return f"{', '.join(place)}: {self.words}" if place else self.words


@dataclass(frozen=True)
class Report:
    """The result. ``ok`` says that nothing wrong was found, within what ``signed`` and ``anchored`` cover."""

    size: int
    """Where the log ends: its entries, those before ``begins`` included."""
    signed: int
    """How many of the first entries a trusted node key vouches for."""
    anchored: int
    """How many of the first entries a published checkpoint vouches for: not even the node could change these unseen."""
    findings: tuple[Finding, ...]
    more: int = 0
    """Findings beyond those that are listed."""
    origin: str | None = None
    """Which log it says it is."""
    begins: int = 0
    """The first entry that was seen: those before are in archives that were not given."""
    compared: int | None = None
    """How many runs' rows were compared with the log; None: there was no database."""
    uncompared: int = 0
    """Runs that could not be: entries of them are in archives, or there by digest alone."""

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def unanchored(self) -> int:
        """Entries after the last published checkpoint that held: not yet anchored."""
        return self.size - self.anchored
