"""``audit archive``: old entries out of the database, into files that verify."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from hisauto.cli.language import tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, say
from hisauto.errors import UsageError


@click.command()
@click.option("--before", required=True, metavar="DATE", help="Entries of before this day (UTC), like 2026-05-01.")
@click.option(
    "--published",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Published checkpoints, from where nobody could change them; else ours.",
)
@reading
def archive(session: Session, before: str, published: tuple[Path, ...]) -> int:
    """Move old entries out of the database into an archive that verifies, up to the last published checkpoint before
    DATE. At least six months stay, and so does all from the first entry of a run that has not ended.

    \b
    Examples:
      hisauto audit archive --before 2026-05-01
      hisauto audit verify
    \b
    Exit codes: 0 · 1 it can't be written · 2 no such day · 3 six months stay, or nothing to move · 4 the log is damaged
    """
    from hisauto import archiving
    from hisauto.cli.auditing import published_notes

    try:
        day = datetime.strptime(before, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"expected a day like 2026-05-01, not '{before}'") from None
    session.app.publish()
    made = archiving.archive(session.app, day, published_notes(session.app, published))
    if session.json:
        emit({"file": str(made.path), "first": made.first, "size": made.size, "sha256": made.sha256})
    else:
        say(tr(f"entries {made.first} to {made.size - 1} are in {clean(session.app.shown(made.path))}; its SHA-256:"))
        say(made.sha256)
    return 0
