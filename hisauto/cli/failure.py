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

from hisauto.cli.terminal import clean, note
from hisauto.errors import HisautoError, Invalid

if TYPE_CHECKING:
    from hisauto.cli.session import Session

STOPPED = 130


def report(error: Exception, session: Session | None) -> int:
    """Say it on stderr. The exit code."""
    if isinstance(error, click.Abort):
        note("stopped")
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


def show_problems(problems: tuple[object, ...]) -> None:
    """Like a compiler, on stderr."""
    import sys

    from hisauto.model.problems import Problem, render

    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for problem in problems:
        assert isinstance(problem, Problem)
        note(render(problem, color))
    errors = sum(1 for p in problems if isinstance(p, Problem) and p.severity == "error")
    note(f"error: {errors} mistake{'s' if errors != 1 else ''}")


def _say(message: str, hint: str | None) -> None:
    note(f"error: {clean(message)}")
    if hint:
        note(f"hint: {clean(hint)}")


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
