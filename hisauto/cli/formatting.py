"""``fmt``: runbooks in the one form."""

from __future__ import annotations

import difflib
import os
import stat
import tempfile
from pathlib import Path

import click
from rich.text import Text

from hisauto import actions
from hisauto.checks import runbooks_in
from hisauto.cli.failure import show_problems
from hisauto.cli.language import tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, say
from hisauto.errors import Invalid
from hisauto.runbook.formatting import format_runbook

STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Write nothing; say which files would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@reading
def fmt(session: Session, paths: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Write runbooks (files or folders; without PATH all of the site's) in the one form: order of words, indentation,
    quotes, empty lines. Comments stay with what they are about, and the meaning is proven to be the same.

    \b
    Examples:
      hisauto fmt
      hisauto fmt --diff runbooks/database-failover.yml
      hisauto fmt --check
    \b
    Exit codes: 0 · 1 a file has mistakes (it is left alone); with --check or --diff also: a file would change
                2 no such file
    """
    known, found, broken = actions.load(), [], False
    for path in runbooks_in(paths) if paths else session.app.runbook_files():
        before = path.read_bytes()
        try:
            after = format_runbook(before, str(path), known)
        except Invalid as error:
            broken = True
            show_problems(error.problems)
            continue
        found.append({"file": str(path), "changed": before != after})
        if before == after:
            continue
        if diff:
            _show(session, path, before, after)
        elif not check:
            write(path, after)
        if not session.json and not diff:
            say(tr(f"{'would change' if check else 'formatted'}: {clean(path)}"))
    changed = [one for one in found if one["changed"]]
    if session.json:
        emit(found)
    elif not diff:
        say(tr(f"{len(changed)} of {len(found)} files {'would change' if check else 'changed'}"))
    return 1 if broken or (changed and (check or diff)) else 0


def write(path: Path, content: bytes) -> None:
    """Replace a file in one move, behind links too; it is always whole, and keeps its mode."""
    real = path.resolve()
    handle, part = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), stat.S_IMODE(real.stat().st_mode))
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(real)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _show(session: Session, path: Path, before: bytes, after: bytes) -> None:
    if session.json:
        return
    then, now = before.decode("utf-8-sig").splitlines(), after.decode().splitlines()
    for line in difflib.unified_diff(then, now, str(path), str(path), lineterm=""):
        session.console.print(Text(clean(line), style=STYLES.get(line[:1], "")), soft_wrap=True)
