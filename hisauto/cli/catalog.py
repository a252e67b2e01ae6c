"""What there is, and whether it is sound: ``runbooks``, ``check``, ``schema``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hisauto.checks import check as check_site
from hisauto.checks import runbooks_in
from hisauto.cli import completing
from hisauto.cli.failure import render_problem
from hisauto.cli.language import tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say, unicode
from hisauto.cli.words import title, word
from hisauto.errors import HisautoError, Invalid


@click.command()
@click.argument("words", nargs=-1)
@reading
def runbooks(session: Session, words: tuple[str, ...]) -> int:
    """What there is: name, version, title, kind, and the fault levels it answers.

    WORDS narrow it down: each has to be in the name, title, kind or description. Broken ones are listed as broken.

    \b
    Examples:
      hisauto runbooks
      hisauto runbooks database
      hisauto runbooks --json | jq '.[].name'
    \b
    Exit codes: 0 · 1 one of those listed is broken
    """
    found = [_entry(session, path) for path in session.app.runbook_files()]
    wanted = [entry for text, entry in found if all(word.lower() in text for word in words)]
    if session.json:
        emit(wanted)
    elif wanted:
        _table(session, wanted)
    else:
        note(tr(f"no runbook {'with ' + ' '.join(map(clean, words)) if words else 'in this site'}"))
    return 1 if any(entry["problem"] for entry in wanted) else 0


def _entry(session: Session, path: Path) -> tuple[str, dict[str, Any]]:
    """What is searched, and what is shown."""
    entry: dict[str, Any] = {"name": path.stem, "version": None, "title": {}, "kind": None, "answers": [], "params": {},
                             "file": session.app.shown(path), "problem": None}  # fmt: skip
    try:
        runbook = session.app.read_runbook(path)
    except (HisautoError, OSError) as error:
        return path.stem.lower(), entry | {"problem": str(error)}
    text = " ".join([path.stem, *runbook.title.values(), runbook.kind, runbook.description]).lower()
    return text, entry | {
        "version": runbook.version,
        "title": dict(runbook.title),
        "kind": runbook.kind,
        "answers": list(runbook.answers),
        "params": {name: param.model_dump(exclude_defaults=True) for name, param in runbook.params.items()},
    }


def _table(session: Session, entries: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("RUNBOOK", "VERSION", "KIND", "ANSWERS", "TITLE"):
        table.add_column(tr(name), no_wrap=name != "TITLE")
    for entry in entries:
        if entry["problem"]:
            why = Text(clean(tr(entry["problem"])), style="bold red")
            table.add_row(Text(clean(entry["name"])), tr("broken"), "", "", why)
            continue
        levels = tr(f"level {', '.join(map(str, entry['answers']))}") if entry["answers"] else ""
        kind, named = word(entry["kind"]), title(entry["title"])
        table.add_row(Text(entry["name"], style="bold"), entry["version"], kind, levels, named)
    session.console.print(table)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--strict", is_flag=True, help="Warnings fail it, too.")
@click.option(
    "--explain", metavar="CODE", shell_complete=completing.rules,
    help="A rule: its reason, an example and its cure; `all`: every one.",
)  # fmt: skip
@reading
def check(session: Session, paths: tuple[Path, ...], strict: bool, explain: str | None) -> int:
    """Check runbooks (files or folders), or without PATH the whole site: hisauto.yml, inventory, runbooks, their roles.

    Every mistake is shown with its file, line and column, what was expected, and what was probably meant.

    \b
    Examples:
      hisauto check
      hisauto check runbooks/database-failover.yml --strict
      hisauto check --explain HA152
    \b
    Exit codes: 0 no error (there may be warnings) · 1 errors, or warnings with --strict · 2 no such file or rule
    """
    if explain is not None:
        return _explain(session, explain)
    from hisauto.cli.rehearsing import mistakes

    try:
        found = check_site(session.app, paths)
        tests, wrong = mistakes(session.app, runbooks_in(paths) if paths else session.app.runbook_files())
        files, problems = (*found.files, *tests), (*found.problems, *wrong)
    except Invalid as error:  # hisauto.yml itself
        files, problems = ("hisauto.yml",), tuple(error.problems)
    errors = sum(problem.severity == "error" for problem in problems)
    if session.json:
        emit({"files": list(files), "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            shown = render_problem(problem, session.color)
            say(shown if session.color else clean(shown, lines=True))
        mark = ("✗" if errors else "✓") if unicode() else ("x" if errors else "+")
        n, warnings = len(files), len(problems) - errors
        counts = [
            tr(f"{n} file{'' if n == 1 else 's'}"),
            tr(f"{errors} error{'' if errors == 1 else 's'}"),
            tr(f"{warnings} warning{'' if warnings == 1 else 's'}"),
        ]
        say(f"{mark} " + tr(f"{counts[0]} checked: {counts[1]}, {counts[2]}"))
    return 1 if errors or (strict and problems) else 0


def _explain(session: Session, code: str) -> int:
    from hisauto.runbook.rules import RULES, explain

    text = explain(code, tr)
    if session.json:
        emit([asdict(rule) for rule in RULES.values() if code in ("all", rule.code)])
    else:
        say(text.rstrip("\n"))
    return 0


@click.command()
def schema() -> None:
    """JSON Schema (2020-12) of the runbook language, for editors. It needs no site.

    \b
    Examples:
      hisauto schema > runbook.schema.json
    \b
    Exit codes: 0
    """
    from hisauto import actions
    from hisauto.runbook.schema import json_schema

    emit(json_schema(actions.load()))
