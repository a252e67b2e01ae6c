"""``audit``: the log, read, exported and proven."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from hisauto.app import App
from hisauto.audit import export as exports
from hisauto.audit.note import VerifierKey
from hisauto.audit.report import Report
from hisauto.audit.verify import verify_entries
from hisauto.cli.lines import event, line
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say, unicode
from hisauto.clock import stamp
from hisauto.errors import Broken, HisautoError, Invalid, NotFound, UsageError

BROKEN = 4
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group(no_args_is_help=False)
def audit() -> None:
    """The audit log: who asked, who agreed, what was done, what came of it. Append-only, hash-chained, signed.

    \b
    Examples:
      hisauto audit log k7f2
      hisauto audit export log.jsonl
      hisauto audit verify log.jsonl --key node.pub --published checkpoints
    """


@audit.command()
@click.argument("run", required=False)
@click.option(
    "--from", "from_seq", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only from this entry on."
)
@reading
def log(session: Session, run: str | None, from_seq: int) -> None:
    """The entries, of RUN or of all, one a line; with --json, JSON lines.

    \b
    Examples:
      hisauto audit log
      hisauto audit log k7f2 --json | jq 'select(.kind == "decision")'
    \b
    Exit codes: 0 · 2 no such run · 4 an entry is damaged
    """
    wanted = session.run(run).id if run is not None else None
    for entry in session.app.store.entries(from_seq, wanted):
        if session.json:
            emit(event(entry), line=True)
        else:
            say(f"{entry.seq:>6} {line(entry)}")


@audit.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@reading
def export(session: Session, file: Path | None) -> None:
    """The whole log as JSON lines that prove themselves, signed by this node; into FILE (0600), or on stdout.

    \b
    Examples:
      hisauto audit export log.jsonl
      hisauto audit export | gzip > log.jsonl.gz
    \b
    Exit codes: 0 · 1 FILE can't be written · 4 the log is not what its head says: nothing was signed
    """
    if file is None:
        _export(session.app, sys.stdout.buffer)
        return
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            _export(session.app, sink)
            sink.flush()
            os.fsync(sink.fileno())
        part.rename(file)
    except OSError as error:
        raise HisautoError(f"{file} can't be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    note(f"{file}: verify it with `hisauto audit verify {file} --key {session.app.site.state / 'node.pub'}`")


def _export(app: App, sink: BinaryIO) -> None:
    """The log as its head has it now: it only grows, so what is read afterwards is cut to that."""
    app.publish()
    head = app.store.head()
    stored = [one for one in app.store.checkpoints() if one.size <= head.size]
    raw = (entry for _, entry in zip(range(head.size), app.store.raw_entries(), strict=False))
    exports.write(
        raw,
        [one.text for one in stored],
        app.node_key,
        sink,
        head=head,
        site=app.site.id,
        exported_at=stamp(app.clock.now()),
        node_keys=[app.node_key.name],
    )


@audit.command()
@click.argument("file", required=False, type=_FILE, metavar="[EXPORT]")
@click.option(
    "--key", "trusted", multiple=True, metavar="PUB", help="A node's public key, or a file of them; else ours."
)
@click.option(
    "--published",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="Published checkpoints, from where nobody could change them; else ours.",
)
@reading
def verify(session: Session, file: Path | None, trusted: tuple[str, ...], published: tuple[Path, ...]) -> int:
    """Prove an EXPORT, or without it this site's database: any edit, removal, insertion or swap, any flipped bit, and a
    tail that was cut back past a published checkpoint is found. Entries after the last published checkpoint are called
    not yet anchored. Keys and published checkpoints are best taken from another machine.

    \b
    Examples:
      hisauto audit verify
      hisauto audit verify log.jsonl --key node.pub --published /mnt/worm/checkpoints
    \b
    Exit codes: 0 nothing wrong was found · 2 no such file · 4 it is not what it should be
    """
    keys = [key for text in trusted for key in read_keys(text)] or session.app.trusted_keys()
    places = published if published or (file is not None and trusted) else session.app.published_files
    texts = [text for place in places if place.exists() for text in read_published(place)]
    if file is not None:
        with file.open("rb") as lines:
            report = exports.verify(lines, keys, texts)
    else:
        stored = [one.text for one in session.app.store.checkpoints()]
        report = verify_entries(session.app.store.raw_entries(), stored, keys, texts, origin=session.app.site.id)
    if session.json:
        emit(_as_json(report))
    else:
        _show(report)
    return 0 if report.ok else BROKEN


def read_keys(text: str) -> Iterator[VerifierKey]:
    """From the key itself, or a file with one on each line. Raises ``Invalid``, ``NotFound``."""
    path = Path(text)
    if not path.exists() and "+" in text:
        yield VerifierKey.parse(text)
        return
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        hint = "a file like .hisauto/node.pub, or name+id+base64"
        raise NotFound(f"the key file {text} can't be read", hint=hint) from error
    found = [one for one in lines if one.strip()]
    if not found:
        raise UsageError(f"there is no key in {text}")
    for one in found:
        try:
            yield VerifierKey.parse(one)
        except Invalid as error:
            raise Invalid(f"{text}: {error}", hint=error.hint) from error


def read_published(path: Path) -> list[str]:
    """The signed notes of a file, as they were appended. What is no note is kept too: it has to be reported."""
    try:
        blocks = path.read_text().split("\n\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Broken(f"the published checkpoints in {path} can't be read: {error}") from error
    pieces = [block.strip("\n") for block in blocks if block.strip()]
    notes = []
    while pieces:
        body = pieces.pop(0)
        notes.append(f"{body}\n\n{pieces.pop(0)}\n" if pieces and pieces[0].startswith("— ") else body)
    return notes


def _as_json(report: Report) -> dict[str, object]:
    return {
        "ok": report.ok,
        "origin": report.origin,
        "size": report.size,
        "signed": report.signed,
        "anchored": report.anchored,
        "unanchored": report.unanchored,
        "findings": [{"code": f.code.value, "words": f.words, "seq": f.seq, "line": f.line} for f in report.findings],
        "more": report.more,
    }


def _show(report: Report) -> None:
    for finding in report.findings:
        say(f"{finding.code.value}: {clean(finding)}")
    if report.more:
        say(f"and {report.more} more")
    say(f"log {clean(report.origin or 'of unknown origin')}: {report.size} entries")
    say(f"signed by a trusted node: the first {report.signed}")
    if report.unanchored:
        say(f"anchored by a published checkpoint: the first {report.anchored}; {report.unanchored} not yet anchored")
    else:
        say("anchored by a published checkpoint: all")
    good, bad = ("✓", "✗") if unicode() else ("+", "x")
    say(f"{good} nothing wrong was found" if report.ok else f"{bad} IT IS NOT WHAT IT SHOULD BE")
