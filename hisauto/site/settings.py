"""``hisauto.yml``: what may stand in it, and what holds when it doesn't."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from hisauto.site.fields import FilePath, Name
from hisauto.site.people import DeputyEntry, People, Role
from hisauto.site.places import Places
from hisauto.site.secrets import Source
from hisauto.site.windows import Freeze, Windows

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h)", value)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"expected a duration above zero like 500ms, 10s, 5m or 1h, not {value!r}")
    return float(match[1]) * _UNITS[match[2]]


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false", "yes", "no"):
            raise ValueError(f"expected true or false, not {value!r}")
        return value in ("true", "yes")
    return value


def _one_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) and value else value


def _site_id(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", value):
        raise ValueError(f"expected an id like his-lab (small letters, digits, -), not {value!r}")
    return value


def _language(value: str) -> str:
    if value not in ("en", "zh"):
        raise ValueError(f"expected a language, en or zh, not {value!r}")
    return value


def _database(value: str) -> str:
    # The message must not show the URL: it may hold a password.
    match = re.fullmatch(r"(sqlite|postgresql)(\+[a-z0-9]+)?://(.*)", value)
    if match is None:
        raise ValueError("expected a database URL like postgresql://user@host/hisauto or sqlite:////path/to/file")
    authority = match[3].split("/")[0]
    if ":" in authority.rpartition("@")[0] or "password=" in value:
        raise ValueError("a password has no place in a file under version control: "
                         "set HISAUTO_DATABASE_URL, or use ~/.pgpass")  # fmt: skip
    return value


Duration = Annotated[float, BeforeValidator(_seconds)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Paths = Annotated[tuple[FilePath, ...], BeforeValidator(_one_is_a_list)]
Roles = Annotated[tuple[Role, ...], BeforeValidator(_one_is_a_list)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(Section):
    """``site:`` who this is, in the log and on the screens."""

    id: Annotated[str, AfterValidator(_site_id)] = "hospital"
    name: str = ""
    """Empty: the id."""
    language: Annotated[str, AfterValidator(_language)] = "en"
    """Of the command line, for whoever doesn't ask for another."""


class May(Section):
    """``may:`` the roles that may ask for a run, decide what is in doubt, cancel. Empty: nobody."""

    run: Roles = ()
    decide: Roles = ()
    cancel: Roles = ()


class Ssh(Section):
    """``ssh:`` how hosts are reached, where the inventory says nothing else of a host."""

    known_hosts: FilePath = Path("~/.ssh/known_hosts").expanduser()
    """For hosts without the inventory variable ``hisauto_known_hosts``. Always strict."""
    keys: Paths = ()
    """Private keys, tried after ``ansible_ssh_private_key_file`` and the agent's."""
    agent: Flag = True
    connect_timeout: Duration = 5.0
    """Seconds for the TCP connection; key exchange and login get twice that each."""
    keepalive: Duration = 5.0
    """Seconds of silence after which a host is asked whether it is there; after three times that it counts as lost."""


class Audit(Section):
    """``audit:`` where signed checkpoints go besides the database."""

    publish: Places = ()
    """Best on another machine. Empty: ``audit/checkpoints`` in the state."""
    every: Duration = 60.0
    """Seconds at most between two checkpoints while there are new entries."""


class Timeouts(Section):
    """``timeouts:`` seconds that no runbook sets."""

    inventory: Duration = 60.0
    """For Ansible to read the inventory; dynamic sources ask other systems."""


class Settings(Section):
    """The whole of ``hisauto.yml``. Every field may be left out."""

    site: Identity = Identity()
    inventory: Paths = (Path("inventory"),)
    runbooks: Paths = (Path("runbooks"),)
    roles: Paths = (Path("roles"),)
    people: People = {}
    people_from: FilePath | None = None
    """A file with ``people:`` of the same form, added to those here. It may be missing (no people yet)."""
    deputies: tuple[DeputyEntry, ...] = ()
    """Who holds whose roles, too, and when."""
    may: May = May()
    secrets: dict[Name, Source] = {}
    """Where a secret is; never what it is."""
    windows: dict[Name, Windows] = {}
    """When a change may run: weekly, by name."""
    freezes: tuple[Freeze, ...] = ()
    """When none may, whatever the window says."""
    database: Annotated[str, AfterValidator(_database)] | None = None
    """A URL without a password. ``HISAUTO_DATABASE_URL`` wins; neither: SQLite in the state folder."""
    ssh: Ssh = Ssh()
    audit: Audit = Audit()
    timeouts: Timeouts = Timeouts()


class PeopleFile(Section):
    """What ``people_from`` points at."""

    people: People = {}
