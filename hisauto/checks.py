"""What can be checked of a site without reaching a host: its file, its inventory, its runbooks, their roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from hisauto.app import App
from hisauto.errors import HisautoError, Invalid, NotFound
from hisauto.model.problems import Problem
from hisauto.plan.plan import walk
from hisauto.runbook.check import check_text
from hisauto.runbook.documents import Runbook


@dataclass(frozen=True)
class Checked:
    """What was looked at, and all that is wrong with it."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]


def check(app: App, paths: Sequence[Path] = ()) -> Checked:
    """Check these runbooks, or without ``paths`` the whole site. Raises nothing for what it finds in a file."""
    problems = [] if paths else list(app.site.warnings)
    groups, hosts = None, None
    try:
        groups, hosts = frozenset(app.inventory.groups), frozenset(app.inventory.hosts)
        if not paths:
            problems += [Problem("inventory", 0, 0, "HA211", w, severity="warning") for w in app.inventory.warnings]
    except Invalid as error:
        problems += error.problems or (Problem("inventory", 0, 0, "HA210", str(error), error.hint or ""),)
    except HisautoError as error:
        problems.append(Problem("inventory", 0, 0, "HA210", str(error), error.hint or ""))
    files = _runbooks(paths) if paths else app.runbook_files()
    seen: dict[str, str] = {}
    for path in files:
        shown = app.shown(path.absolute())
        try:
            text = path.read_bytes()
        except OSError as error:
            problems.append(Problem(shown, 0, 0, "HA001", f"can't be read: {error.strerror}"))
            continue
        runbook, found = check_text(text, shown, app.actions, groups=groups, hosts=hosts)
        problems += found
        if runbook is not None:
            problems += [*_name(runbook, path, shown, seen), *_roles(app, runbook, shown)]
    names = [*(() if paths else ("hisauto.yml", "inventory")), *(app.shown(path.absolute()) for path in files)]
    return Checked(tuple(names), tuple(problems))


def _runbooks(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise NotFound(f"there is no file {path}")
        found += sorted(path.rglob("*.yml")) if path.is_dir() else [path]
    return found


def _name(runbook: Runbook, path: Path, shown: str, seen: dict[str, str]) -> list[Problem]:
    """A runbook is found by its file's name, and is on record under its own: they have to be one."""
    problems = []
    if path.stem != runbook.runbook:
        message = f"the runbook is called {runbook.runbook!r}, and its file {path.name!r}"
        problems.append(Problem(shown, 0, 0, "HA126", message, f"rename the file: {runbook.runbook}.yml"))
    if (first := seen.setdefault(runbook.runbook, shown)) != shown:
        problems.append(Problem(shown, 0, 0, "HA127", f"{first} is called {runbook.runbook!r} too"))
    return problems


def _roles(app: App, runbook: Runbook, shown: str) -> list[Problem]:
    have = sorted(
        {f.name for folder in app.site.paths("roles") if folder.is_dir() for f in folder.iterdir() if f.is_dir()}
    )
    problems = []
    for step in walk((*runbook.steps, *runbook.always)):
        for call in filter(None, (step.action, step.undo.action if step.undo else None)):
            role = str(call.fields.get("role", ""))
            if call.kind == "role" and role and "{{" not in role and role not in have:
                near = get_close_matches(role, have, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"roles: {', '.join(have) or 'none'}"
                problems.append(Problem(shown, 0, 0, "HA128", f"{step.name}: there is no role {role!r}", hint))
    return problems
