"""What went wrong, said in one line, with what can be done about it; never a traceback on the terminal."""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hisauto.cli.language import tr
from hisauto.cli.terminal import clean, note
from hisauto.errors import HisautoError, Invalid

if TYPE_CHECKING:
    from hisauto.cli.session import Session
    from hisauto.model.problems import Problem

STOPPED = 130


def report(error: Exception, session: Session | None) -> int:
    """Say it on stderr. The exit code."""
    if isinstance(error, click.Abort):
        note(tr("stopped"))
        return STOPPED
    if isinstance(error, click.ClickException):
        _say(error.format_message(), _usage_hint(error))
        return error.exit_code
    if isinstance(error, HisautoError):
        if isinstance(error, Invalid) and error.problems:
            show_problems(error.problems)
        else:
            _say(str(error), error.hint)
        return error.exit_code
    place = _write_crash(session)
    _say(f"something unexpected happened: {type(error).__name__}", f"the details are in {place}")
    return 1


def show_problems(problems: tuple[Problem, ...]) -> None:
    """Like a compiler, on stderr."""
    import sys

    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for problem in problems:
        note(render_problem(problem, color))
    errors = sum(problem.severity == "error" for problem in problems)
    note(tr(f"error: {errors} mistake{'s' if errors != 1 else ''}"))


def render_problem(problem: Problem, color: bool) -> str:
    """Its place, the line it stands on, and what is wrong there in the user's language."""
    from hisauto.model.problems import render

    return render(problem, color, tr)


def _say(message: str, hint: str | None) -> None:
    note(tr(f"error: {clean(message)}"))
    if hint:
        note(tr(f"hint: {clean(hint)}"))


def _usage_hint(error: click.ClickException) -> str | None:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return f"{ctx.command_path} --help" if ctx is not None else None


def _write_crash(session: Session | None) -> Path:
    """The traceback, for its owner only: in the state folder, or where there is none in the temporary one."""
    name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    folder = Path(tempfile.gettempdir())
    if session is not None and "app" in session.__dict__:
        with contextlib.suppress(HisautoError):
            folder = session.app.site.state
    path = folder / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(traceback.format_exc())
    return path
