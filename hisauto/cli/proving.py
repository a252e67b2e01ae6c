"""``audit prove`` and ``audit check-proof``: one entry, or that the log only grew, proven without the log."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from hisauto.audit import checkpoint, proof, prooftext
from hisauto.audit.checkpoint import Checkpoint
from hisauto.audit.merkle import leaf_hash
from hisauto.audit.note import VerifierKey
from hisauto.audit.prooftext import ProofText
from hisauto.cli.language import tr
from hisauto.cli.lines import line
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, say
from hisauto.errors import BadSignature, Broken, HisautoError, NotFound, UsageError

BROKEN = 4
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("entry", required=False, type=click.IntRange(min=0))
@click.option(
    "--since", type=_FILE, metavar="FILE", help="Of the log since this older checkpoint, instead of an entry."
)
@reading
def prove(session: Session, entry: int | None, since: Path | None) -> None:
    """A proof that ENTRY is in the signed log; or, with --since, that the log still begins with all that an older
    checkpoint covers. On stdout; whoever has the node's key can check it without seeing any other entry.

    \b
    Examples:
      hisauto audit prove 17 > 17.tlog-proof
      hisauto audit prove --since old-checkpoint > grown.proof
    \b
    Exit codes: 0 · 2 no such entry, or its archive is not here · 4 the log is not the one that was signed
    """
    if (entry is None) == (since is None):
        raise UsageError("prove what? Either the number of an entry or --since a checkpoint")
    session.app.publish()
    keys = session.app.trusted_keys()
    stored = session.app.store.checkpoints()
    if not stored:
        raise NotFound("the log is empty: there is nothing to prove")
    newest = checkpoint.verify(stored[-1].text, keys)
    if entry is not None:
        text = _of_entry(session, entry, newest, stored[-1].text)
        prooftext.check_entry(said := prooftext.read(text), said.raw or b"", keys)
    else:
        assert since is not None
        old = _old(since, keys)
        if old.size > newest.size:
            raise Broken(f"that checkpoint is over {old.size} entries, and the log has {newest.size}: it was cut")
        path = _path(session, proof.consistency_ranges(old.size, newest.size), old.size, newest.size)
        text = prooftext.of_growth(old.size, path, stored[-1].text)
        prooftext.check_growth(prooftext.read(text), old, keys)
    click.echo(text, nl=False)


@click.command("check-proof")
@click.argument("file", type=_FILE, metavar="PROOF")
@click.option(
    "--key", "trusted", multiple=True, metavar="PUB", help="A node's public key, or a file of them; else ours."
)
@click.option("--entry", "entry_file", type=_FILE, metavar="FILE", help="The entry's line, if it is not in the proof.")
@click.option("--since", type=_FILE, metavar="FILE", help="The older checkpoint, for a proof that the log only grew.")
@click.option("--published", multiple=True, type=_FILE, metavar="FILE", help="Is its checkpoint one of these?")
@reading
def check_proof(
    session: Session,
    file: Path,
    trusted: tuple[str, ...],
    entry_file: Path | None,
    since: Path | None,
    published: tuple[Path, ...],
) -> int:
    """Check a PROOF, with a node's public key and without the log. Of an entry it shows what is proven.

    \b
    Examples:
      hisauto audit check-proof 17.tlog-proof --key node.pub
      hisauto audit check-proof grown.proof --since old-checkpoint --key node.pub
    \b
    Exit codes: 0 it is proven · 1 it is no proof · 2 no such file · 4 it does not prove it
    """
    from hisauto.cli.auditing import read_keys, read_published

    keys = [key for text in trusted for key in read_keys(text)] or session.app.trusted_keys()
    said = prooftext.read(file.read_text(errors="replace"))
    try:
        what, signed = _checked(said, keys, entry_file, since)
    except (BadSignature, Broken) as error:
        raise Broken(f"it is not proven: {error}", hint=error.hint) from error
    anchored = said.signed in {text for place in published for text in read_published(place)}
    if session.json:
        emit(what | {"proven": True, "origin": signed.origin, "size": signed.size, "at": signed.at,
                     "anchored": anchored if published else None})  # fmt: skip
        return 0 if anchored or not published else BROKEN
    for text in what.values():
        say(clean(str(text)))
    say(tr(f"proven: it is in the log {clean(signed.origin)}, under the checkpoint over {signed.size} entries"))
    if published and not anchored:
        say(tr("but that checkpoint is not among the published ones"))
        return BROKEN
    return 0


def _checked(
    said: ProofText, keys: list[VerifierKey], entry_file: Path | None, since: Path | None
) -> tuple[dict[str, object], Checkpoint]:
    """What is proven, and by which checkpoint."""
    if said.old is not None:
        if since is None:
            raise UsageError(
                "this proves that a log only grew since an older checkpoint", hint="give that: --since FILE"
            )
        return {"old": said.old}, prooftext.check_growth(said, _old(since, keys), keys)
    raw = entry_file.read_bytes().removesuffix(b"\n") if entry_file is not None else said.raw
    if raw is None:
        raise UsageError("the entry is not in this proof", hint="give its line of an export: --entry FILE")
    entry, signed = prooftext.check_entry(said, raw, keys)
    return {"entry": f"{entry.seq:>6} {line(entry)}"}, signed


def _of_entry(session: Session, number: int, newest: Checkpoint, signed: str) -> str:
    from hisauto.archiving import entries

    if number >= newest.size:
        raise NotFound(f"there is no entry {number}: the signed log ends before {newest.size}")
    path = _path(session, proof.inclusion_ranges(number, newest.size), number, newest.size)
    start, raw = entries(session.app, number)
    one = next(islice(raw, number - start.size, None), b"")
    return prooftext.of_entry(one, number, path, signed)


def _path(session: Session, ranges: list[range], first: int, size: int) -> list[bytes]:
    from hisauto.archiving import entries

    start, raw = entries(session.app, first)
    return proof.subtree_roots(start.peaks, (leaf_hash(one) for one in islice(raw, size - start.size)), ranges)


def _old(file: Path, keys: list[VerifierKey]) -> Checkpoint:
    """The checkpoint in a file; of several the one over most entries."""
    from hisauto.cli.auditing import read_published

    try:
        return max((checkpoint.verify(text, keys) for text in read_published(file)), key=lambda one: one.size)
    except (BadSignature, ValueError) as error:
        raise HisautoError(f"{file} holds no checkpoint that can be relied on: {error}") from error
