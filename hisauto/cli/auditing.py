"""``audit``: the log, read, exported and proven."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click

from hisauto.app import App
from hisauto.archiving import archives, folder
from hisauto.audit import export as exports
from hisauto.audit.merkle import Head
from hisauto.audit.note import VerifierKey
from hisauto.audit.published import notes
from hisauto.audit.report import Report
from hisauto.audit.verify import Verifier
from hisauto.cli import archiving, completing, proving, publishing
from hisauto.cli.language import tr
from hisauto.cli.lazy import Group
from hisauto.cli.lines import event, line
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say, unicode
from hisauto.clock import stamp
from hisauto.errors import Broken, HisautoError, Invalid, NotFound, UsageError

BROKEN = 4
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group(cls=Group, no_args_is_help=False)
def audit() -> None:
    """The audit log: who asked, who agreed, what was done, what came of it. Append-only, hash-chained, signed.

    \b
    Examples:
      hisauto audit log k7f2
      hisauto audit export log.jsonl
      hisauto audit verify log.jsonl --key node.pub --published checkpoints
    """


audit.add_command(publishing.status)
audit.add_command(publishing.publish)
audit.add_command(archiving.archive)
audit.add_command(proving.prove)
audit.add_command(proving.check_proof)


@audit.command()
@click.argument("run", required=False, shell_complete=completing.runs)
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
    start, _ = session.app.store.bounds()
    if from_seq < start.size:
        note(tr(f"the entries before {start.size} are in archives"))
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
    key = session.app.site.state / "node.pub"
    note(tr(f"{file}: verify it with `hisauto audit verify {file} --key {key}`"))


def _export(app: App, sink: BinaryIO) -> None:
    """The log as its head has it now: it only grows, so what is read afterwards is cut to that."""
    app.publish()
    start, head = app.store.bounds()
    stored = [one for one in app.store.checkpoints() if start.size < one.size <= head.size]
    raw = islice(app.store.raw_entries(start.size), head.size - start.size)
    exports.write(
        raw,
        [one.text for one in stored],
        app.node_key,
        sink,
        head=head,
        site=app.site.id,
        exported_at=stamp(app.clock.now()),
        node_keys=[app.node_key.name],
        start=start,
    )


@audit.command()
@click.argument("files", nargs=-1, type=_FILE, metavar="[EXPORT]...")
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
def verify(session: Session, files: tuple[Path, ...], trusted: tuple[str, ...], published: tuple[Path, ...]) -> int:
    """Prove an EXPORT, several archives in order, or without any this site's archives and database: any edit, removal
    or insertion, any flipped bit, and a tail that was cut back past a published checkpoint is found; in the database
    also each row of a run that says something else than the log. Entries after the last published checkpoint are
    called not yet anchored. Keys and published checkpoints are best taken from
    another machine.

    \b
    Examples:
      hisauto audit verify
      hisauto audit verify log.jsonl --key node.pub --published /mnt/worm/checkpoints
      hisauto audit verify archives/log-*.jsonl log.jsonl --key node.pub
    \b
    Exit codes: 0 nothing wrong was found · 2 no such file · 4 it is not what it should be
    """
    keys = tuple(key for text in trusted for key in read_keys(text)) or tuple(session.app.trusted_keys())
    texts = [] if files and trusted and not published else published_notes(session.app, published)
    verifier = Verifier(keys, texts, origin=None if files else session.app.site.id)
    start = Head() if files else session.app.store.bounds()[0]
    for file in files or archives(folder(session.app), start.size):
        verifier.source = str(file) if len(files) != 1 else None
        with file.open("rb") as lines:
            exports.read(lines, verifier, keys)
    if not files:
        verifier.source = None
        stored = [one.text for one in session.app.store.checkpoints()]
        verifier.stored(start, session.app.store.raw_entries(start.size), stored)
    report = verifier.finish() if files else _with_tables(session.app, verifier)
    if session.json:
        emit(_as_json(report))
    else:
        _show(report)
    return 0 if report.ok else BROKEN


def _with_tables(app: App, verifier: Verifier) -> Report:
    """The report on a database: also on whether its tables say what its log tells."""
    comparison, compared, uncompared = app.store.compared(), 0, 0
    for finding in comparison.loose():
        verifier.report(finding.code, finding.words, seq=finding.seq)
    for one in comparison:
        compared, uncompared = compared + one.known, uncompared + (not one.known)
        for finding in one.findings:
            verifier.report(finding.code, finding.words, seq=finding.seq)
    return replace(verifier.finish(), compared=compared, uncompared=uncompared)


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
    """The signed notes of a file. Raises ``Broken``."""
    try:
        return notes(path.read_text(errors="replace"))
    except OSError as error:
        raise Broken(f"the published checkpoints in {path} can't be read: {error}") from error


def published_notes(app: App, files: tuple[Path, ...]) -> list[str]:
    """Of these files, or without any of the site's own places."""
    found = [text for file in files for text in read_published(file)]
    return found if files else list(_at_places(app))


def _at_places(app: App) -> Iterator[str]:
    """The signed notes of all places of the site that can be asked; of each that can't, a word on stderr."""
    for place in app.publisher.places:
        try:
            text = place.read()
        except HisautoError as error:
            note(tr(f"warning: what is published at {place.name} does not count here: {error}"))
        else:
            yield from notes(text or "")
        finally:
            place.close()


def _as_json(report: Report) -> dict[str, object]:
    return {
        "ok": report.ok,
        "origin": report.origin,
        "begins": report.begins,
        "size": report.size,
        "signed": report.signed,
        "anchored": report.anchored,
        "unanchored": report.unanchored,
        "compared": report.compared,
        "uncompared": report.uncompared,
        "findings": [
            {"code": f.code.value, "words": f.words, "seq": f.seq, "line": f.line, "file": f.file}
            for f in report.findings
        ],
        "more": report.more,
    }


def _show(report: Report) -> None:
    for finding in report.findings:
        say(f"{finding.code.value}: {clean(tr(str(finding)))}")
    if report.more:
        say(tr(f"and {report.more} more"))
    say(tr(f"log {clean(report.origin or 'of unknown origin')}: {report.size} entries"))
    if report.begins:
        say(tr(f"NOT SEEN: the first {report.begins}, which are in archives that were not given"))
    say(tr(f"signed by a trusted node: the first {report.signed}"))
    if report.unanchored:
        anchored = f"anchored by a published checkpoint: the first {report.anchored}"
        say(tr(f"{anchored}; {report.unanchored} not yet anchored"))
    else:
        say(tr("anchored by a published checkpoint: all"))
    if report.compared is not None:
        say(tr(f"the tables of {report.compared} runs were compared with it"))
    if report.uncompared:
        say(tr(f"NOT COMPARED: {report.uncompared} runs whose entries are in archives, or kept by their digest alone"))
    good, bad = ("✓", "✗") if unicode() else ("+", "x")
    said = "nothing wrong was found" if report.ok else "IT IS NOT WHAT IT SHOULD BE"
    say(f"{good if report.ok else bad} {tr(said)}")
