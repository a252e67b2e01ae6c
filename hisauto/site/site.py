"""A site: the folder of ``hisauto.yml``, as loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from hisauto.errors import HisautoError, UsageError
from hisauto.model.person import Person
from hisauto.model.problems import Problem, did_you_mean, invalid
from hisauto.model.world import Permission
from hisauto.model.yamltext import Document
from hisauto.site import people as people_rules
from hisauto.site.people import People
from hisauto.site.reading import read
from hisauto.site.secrets import read_secret
from hisauto.site.settings import PeopleFile, Settings
from hisauto.site.windows import permission

NAME = "hisauto.yml"
TESTS = ".tests.yml"
"""Ends the name of what stands beside a runbook for its rehearsal."""
Deed = Literal["run", "decide", "cancel"]


def find_site(start: Path) -> Path:
    """The nearest folder with a ``hisauto.yml``, from ``start`` upward. Raises ``UsageError``."""
    here = start.absolute()
    for folder in (here, *here.parents):
        if (folder / NAME).is_file():
            return folder
    hint = "go to the site's folder, or name it: --site DIR"
    raise UsageError(f"there is no {NAME} in {here} or above it", hint=hint)


def runbooks_of(folder: Path) -> list[Path]:
    """The runbooks in a folder, by name."""
    return sorted(path for path in folder.glob("*.yml") if not path.name.endswith(TESTS))


@dataclass(frozen=True)
class Site:
    """What the site's files say. Nothing here changes after ``load``."""

    root: Path
    settings: Settings
    people: Mapping[str, Person]
    warnings: tuple[Problem, ...] = ()

    @classmethod
    def load(cls, root: Path) -> Site:
        """Read ``hisauto.yml`` and its people. Raises ``Invalid`` with all mistakes; ``UsageError``: no such file."""
        root = root.absolute()
        if not (root / NAME).is_file():
            raise UsageError(f"there is no {NAME} in {root}", hint="name the site's folder: --site DIR")
        document, settings = read(root / NAME, NAME, Settings)
        sources: list[tuple[Document, People]] = [(document, settings.people)]
        warnings: list[Problem] = []
        if settings.people_from is not None:
            path = root / settings.people_from
            if path.exists():
                further, file = read(path, str(settings.people_from), PeopleFile)
                sources.append((further, file.people))
            else:
                message = f"no people yet: {settings.people_from} is not there"
                hint = "nobody can ask for a run or approve one until it is"
                warnings.append(document.problem(("people_from",), "HA207", message, hint, severity="warning"))
        people, problems = people_rules.gather(sources)
        people, further_problems = people_rules.deputise(document, settings.deputies, people)
        problems += further_problems
        if problems:
            raise invalid(problems)
        if people:
            warnings += _idle_roles(document, settings, people)
        return cls(root, settings, people, tuple(warnings))

    @property
    def id(self) -> str:
        return self.settings.site.id

    @property
    def name(self) -> str:
        return self.settings.site.name or self.id

    @property
    def state(self) -> Path:
        """``.hisauto``, made on demand, for its owner only. Raises ``HisautoError``."""
        return self.folder()

    def folder(self, *parts: str) -> Path:
        """A folder under ``.hisauto``, made on demand with every folder above it 0700. Raises ``HisautoError``."""
        path = self.root / ".hisauto"
        try:
            for step in ("", *parts):
                path = path / step
                path.mkdir(mode=0o700, exist_ok=True)
                if path.stat().st_uid == os.geteuid() and path.stat().st_mode & 0o077:
                    path.chmod(0o700)
        except OSError as error:
            raise HisautoError(f"the state folder {path} can't be made: {error.strerror or error}") from error
        return path

    @property
    def database_url(self) -> str:
        """From ``HISAUTO_DATABASE_URL``, the settings, or SQLite in the state folder. It may hold a password."""
        return os.environ.get("HISAUTO_DATABASE_URL") or self.settings.database or f"sqlite:///{self.state}/hisauto.db"

    @cached_property
    def people_digest(self) -> str:
        """SHA-256 (hex) of everybody's id, name, roles, keys with their limits, and of who deputises."""
        return people_rules.digest(self.people)

    def secret(self, name: str) -> str:
        """The value of a secret. Raises ``HisautoError`` with the reason when it can't be had."""
        return read_secret(self.settings.secrets[name], self.root)

    def permission(self, kind: str, window: str | None, at: datetime) -> Permission:
        """What windows and freezes say to a runbook of this kind and with this window at a moment."""
        return permission(kind, window, self.settings.windows, self.settings.freezes, at)

    def paths(self, of: Literal["inventory", "runbooks", "roles"]) -> tuple[Path, ...]:
        """The configured folders or files, absolute."""
        configured: tuple[Path, ...] = getattr(self.settings, of)
        return tuple(self.root / path for path in configured)

    def may(self, person: str, deed: str, at: datetime) -> bool:
        """Whether a role they hold then may ``run``, ``decide`` or ``cancel``. Another deed: ``UsageError``."""
        if deed not in get_args(Deed):
            raise UsageError(f"there is no right called {deed!r}", hint=did_you_mean(deed, get_args(Deed)))
        known = self.people.get(person)
        return known is not None and not known.at(at).roles.isdisjoint(getattr(self.settings.may, deed))


def _idle_roles(document: Document, settings: Settings, people: Mapping[str, Person]) -> list[Problem]:
    held = {role for person in people.values() for role in person.roles}
    return [
        document.problem(
            ("may", deed, n),
            "HA208",
            f"nobody has the role {role!r}",
            did_you_mean(role, sorted(held)),
            severity="warning",
        )
        for deed in get_args(Deed)
        for n, role in enumerate(getattr(settings.may, deed))
        if role not in held
    ]
