"""Old entries of the log, moved out of the database into archives that verify."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from hisauto.app import App
from hisauto.audit import checkpoint, export
from hisauto.audit.merkle import Head
from hisauto.audit.verify import Verifier
from hisauto.clock import stamp
from hisauto.errors import Broken, HisautoError, NotFound, Refused

MONTHS = 6
"""The least that is kept in the database: Cybersecurity Law of China, article 21: no less than six months."""


@dataclass(frozen=True)
class Archived:
    """What was moved."""

    path: Path
    first: int
    size: int
    """Where it ends: the first entry that is still in the database."""
    sha256: str


def folder(app: App) -> Path:
    """Where a site's archives are, unless somebody has moved them."""
    return app.site.folder("audit", "archives")


def months_before(now: datetime, months: int) -> datetime:
    """The same day and time so many months earlier; the last day of a month that is shorter."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    for day in range(now.day, 27, -1):
        try:
            return now.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return now.replace(year=year, month=month + 1)


def archive(app: App, before: datetime, published: Sequence[str]) -> Archived:
    """Move the entries of before ``before`` (aware) into an archive, up to the last that ``published`` vouches for.

    Nothing leaves the database before the archive is on the disk and was read back and verified. Raises ``Refused`` if
    that is less than six months ago, or nothing can be moved; ``Broken`` if the log is not what it should be.
    """
    if before > (latest := months_before(app.clock.now(), MONTHS)):
        raise Refused(
            f"entries have to stay for {MONTHS} months at least: so far up to {stamp(latest)}",
            hint="an earlier date; `hisauto audit export` copies entries and moves nothing",
        )
    store = app.store
    start, head = store.bounds()
    end = _end(app, start, before, published)
    verifier = Verifier(app.trusted_keys(), published, origin=app.site.id)
    notes = [one.text for one in store.checkpoints() if one.size <= end]
    verifier.stored(start, islice(store.raw_entries(start.size), end - start.size), notes)
    end_head, anchored = verifier.head, verifier.anchored
    if verifier.findings or anchored != end or head.size < end:
        raise Broken("the log is not what it should be, so nothing was archived", hint="hisauto audit verify")
    path = folder(app) / f"log-{start.size:012}-{end - 1:012}.jsonl"
    sha256 = _write(app, path, start, end_head, [one for one in notes if _size(one) > start.size])
    again = Verifier(app.trusted_keys(), published, origin=app.site.id)
    with path.open("rb") as lines:
        export.read(lines, again, tuple(app.trusted_keys()))
    if again.findings or again.head != end_head or again.anchored != end:
        raise Broken(f"{path} can't be read back as it was written, so nothing left the database")
    data = {"file": path.name, "first": start.size, "size": end, "root": end_head.root().hex(), "sha256": sha256}
    store.forget(start, end_head, app.node_key.name, data)
    return Archived(path, start.size, end, sha256)


def archives(place: Path, before: int) -> list[Path]:
    """The archives in a folder of entries before ``before``, in the order of the log: the database begins there.

    One that reaches further is of a try that died: the database still has what is in it.
    """
    return [path for path in sorted(place.glob("log-*-*.jsonl")) if int(path.stem.split("-")[1]) < before]


def entries(app: App, first: int) -> tuple[Head, Iterator[bytes]]:
    """The log's raw entries: of the database alone if entry ``first`` is still there, else with all archives.

    Raises ``NotFound`` if one of those is not at hand.
    """
    start, head = app.store.bounds()
    stored = islice(app.store.raw_entries(start.size), head.size - start.size)
    if first >= start.size:
        return start, stored
    there = archives(folder(app), start.size)
    # By their names; whether they hold what they say is found out when a proof of it doesn't hold.
    ends = [0, *(int(path.stem.split("-")[2]) + 1 for path in there)]
    if [int(path.stem.split("-")[1]) for path in there] != ends[:-1] or ends[-1] != start.size:
        raise NotFound(f"entry {first} is in an archive that is not here", hint=f"archives belong in {folder(app)}")
    return Head(), _chained(there, stored)


def _end(app: App, start: Head, before: datetime, published: Iterable[str]) -> int:
    """The size of the newest published checkpoint that is before ``before`` and before every open run."""
    limit, moment = start.size, stamp(before)
    for raw in app.store.raw_entries(start.size):
        if json.loads(raw)["at"] >= moment:
            break
        limit += 1
    began = app.store.first_of_open_runs()
    limit = limit if began is None else min(limit, began)
    end = max((size for one in published if (size := _size(one)) <= limit), default=0)
    if end <= start.size:
        raise Refused(
            f"there is nothing to archive: no published checkpoint is over entries from {start.size} to {limit}",
            hint="before DATE, and before the first entry of a run that has not ended; hisauto audit status",
        )
    return end


def _write(app: App, path: Path, start: Head, end: Head, notes: Sequence[str]) -> str:
    """The archive, durable under its name once it is whole; its SHA-256."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            raw = islice(app.store.raw_entries(start.size), end.size - start.size)
            export.write(
                raw, notes, app.node_key, sink, head=end, site=app.site.id, exported_at=stamp(app.clock.now()),
                node_keys=[app.node_key.name], start=start,
            )  # fmt: skip
            sink.flush()
            os.fsync(sink.fileno())
        part.rename(path)  # one of the same name is of a try that died: the database still has all of it
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        with path.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()
    except OSError as error:
        raise HisautoError(f"{path} can't be written: {error.strerror}; nothing left the database") from error
    finally:
        part.unlink(missing_ok=True)


def _chained(files: Iterable[Path], stored: Iterable[bytes]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as lines:
            yield from (line.removesuffix(b"\n") for line in lines if line.startswith(b'{"actor":'))
    yield from stored


def _size(note: str) -> int:
    return checkpoint.claimed_size(note) or 0
