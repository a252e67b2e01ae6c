"""What can be checked of a site without reaching a host: its file, inventory, runbooks and the files they need."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hisauto.app import App
from hisauto.errors import HisautoError, Invalid, NotFound
from hisauto.model.problems import Problem, did_you_mean
from hisauto.model.yamltext import Path as Path_
from hisauto.plan.pins import Sources, pinned_files
from hisauto.runbook.check import check as check_runbook
from hisauto.runbook.documents import Step
from hisauto.runbook.loader import BLOCKS, Loaded, load_runbook
from hisauto.site.reading import read
from hisauto.site.settings import Settings
from hisauto.site.site import NAME, runbooks_of


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
            problems += _places(app, hosts)
    except Invalid as error:
        problems += error.problems or (Problem("inventory", 0, 0, "HA210", str(error), error.hint or ""),)
    except HisautoError as error:
        problems.append(Problem("inventory", 0, 0, "HA210", str(error), error.hint or ""))
    files = runbooks_in(paths) if paths else app.runbook_files()
    seen: dict[str, str] = {}
    for path in files:
        shown = app.shown(path.absolute())
        try:
            loaded = load_runbook(path.read_bytes(), shown, app.actions)
        except OSError as error:
            problems.append(Problem(shown, 0, 0, "HA001", f"can't be read: {error.strerror}"))
        except Invalid as error:
            problems += error.problems
        else:
            settings, pin = app.site.settings, Sources(path.parent, app.site.paths("roles")).pin
            found = check_runbook(loaded, app.actions, groups=groups, hosts=hosts, pin=pin,
                                  secrets=frozenset(settings.secrets), windows=frozenset(settings.windows))  # fmt: skip
            problems += sorted([*found, *_name(loaded, path, shown, seen), *_parts(app, loaded)])
    names = [*(() if paths else (NAME, "inventory")), *(app.shown(path.absolute()) for path in files)]
    return Checked(tuple(names), tuple(problems))


def _places(app: App, hosts: Collection[str]) -> list[Problem]:
    """Hosts that checkpoints are brought to, and the inventory doesn't have."""
    document, settings = read(app.site.root / NAME, NAME, Settings)
    return [
        document.problem(("audit", "publish", n, "host"), "HA212", f"the inventory has no host {place.host!r}",
                         did_you_mean(place.host, hosts))
        for n, place in enumerate(settings.audit.publish) if place.host is not None and place.host not in hosts
    ]  # fmt: skip


def runbooks_in(paths: Sequence[Path]) -> list[Path]:
    """These files, and the runbooks of these folders. Raises ``NotFound``."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise NotFound(f"there is no file {path}")
        found += runbooks_of(path) if path.is_dir() else [path]
    return found


def _name(loaded: Loaded, path: Path, shown: str, seen: dict[str, str]) -> list[Problem]:
    """A runbook is found by its file's name, and is on record under its own: they have to be one."""
    name, problems = loaded.runbook.runbook, []
    if path.stem != name:
        message = f"the runbook is called {name!r}, and its file {path.name!r}"
        problems.append(loaded.source.problem(("runbook",), "HA129", message, f"rename the file: {name}.yml"))
    if (first := seen.setdefault(name, shown)) != shown:
        problems.append(loaded.source.problem(("runbook",), "HA127", f"{first} is called {name!r} too"))
    return problems


def _parts(app: App, loaded: Loaded) -> list[Problem]:
    """Runbooks that are steps: that they are there, take what they are given, and are not in themselves."""
    return [
        loaded.source.problem(path, "HA132", message, hint, key=True)
        for path, step in _steps(loaded.runbook.steps, ("steps",))
        for path, message, hint in _part(app, step, path, (loaded.runbook.runbook,))
    ]


def _steps(steps: Sequence[Step], path: Path_) -> Iterator[tuple[Path_, Step]]:
    """Every step, and where it stands."""
    for n, step in enumerate(steps):
        yield (*path, n), step
        for key in BLOCKS:
            yield from _steps(getattr(step, key) or (), (*path, n, key))


def _part(app: App, step: Step, path: Path_, above: tuple[str, ...]) -> Iterator[tuple[Path_, str, str]]:
    """What is wrong with a step that is a runbook: where, what, and what to do."""
    name = step.runbook
    if name is None:
        return
    at = (*path, "runbook")
    if name in above:
        yield at, f"{' → '.join((*above, name))}: a runbook can't be a step of itself", "take one of these steps out"
        return
    try:
        other = app.runbook(name)
    except HisautoError as error:
        yield at, str(error), error.hint or ""
        return
    try:
        pinned_files(other, app.actions, Sources(app.runbook_file(name).parent, app.site.paths("roles")))
    except HisautoError as error:
        yield at, f"{name}: {error}", error.hint or ""
    for given in step.with_:
        if given not in other.params:
            near = did_you_mean(given, other.params) or f"it has: {', '.join(other.params) or 'none'}"
            yield (*path, "with", given), f"{name} has no parameter {given!r}", near
    for param in [p for p, about in other.params.items() if about.default is None and p not in step.with_]:
        yield at, f"{name} needs the parameter {param!r}", f"with: {{{param}: …}}"
    for _, inner in _steps(other.steps, ()):
        for _, message, hint in _part(app, inner, path, (*above, name)):
            yield at, message, hint
