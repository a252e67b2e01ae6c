"""People as the site's files name them, and what must hold for their keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hisauto.clock import stamp
from hisauto.model.person import Deputising, Limits, Person
from hisauto.model.problems import Problem, did_you_mean
from hisauto.model.yamltext import Document, Path
from hisauto.site.fields import Entry
from hisauto.site.windows import DAY, Zone, day, instant, listed

_KEY_TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
_RSA_BITS = 2048


def public_key(text: str) -> str:
    """``TYPE BASE64`` of an OpenSSH public key, without its comment. Raises ``ValueError``, never quoting it."""
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key: take it out, and make a new one, since this one is in a file now")
    words = text.split()
    if len(words) < 2 or words[0] not in _KEY_TYPES:
        raise ValueError(f"not an OpenSSH public key: expected a line like 'ssh-ed25519 AAAA…', "
                         f"beginning with one of {', '.join(_KEY_TYPES)}")  # fmt: skip
    key = " ".join(words[:2])
    try:
        loaded = load_ssh_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the public key is damaged: {error}") from None
    if isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < _RSA_BITS:
        raise ValueError(f"the RSA key has {loaded.key_size} bits; at least {_RSA_BITS} are needed")
    return key


def role_name(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", text):
        raise ValueError(f"expected a role like dba_lead (small letters, digits, _), not {text!r}")
    return text


def person_id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@-]*", text):
        raise ValueError(f"expected an id like dba-1 (small letters, digits, . _ @ -), not {text!r}")
    return text


Role = Annotated[str, AfterValidator(role_name)]


def _start(value: Any) -> Any:
    return _instant(value, timedelta()) if isinstance(value, str) else value


def _end(value: Any) -> Any:
    return _instant(value, timedelta(days=1)) if isinstance(value, str) else value


def _instant(text: str, day: timedelta) -> datetime:
    """A moment with its zone, or the beginning (or end) of a day in UTC."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return datetime.fromisoformat(f"{text}T00:00:00+00:00") + day
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"expected a day (in UTC) like 2027-01-31 or a moment like 2027-01-31T18:00+08:00, "
                         f"not {text!r}")  # fmt: skip
    return moment


class KeyEntry(Entry):
    """A key, or ``{key: …, valid_from: …, expires: …, revoked: …}``. ``expires`` is the last day."""

    key: Annotated[str, AfterValidator(public_key)]
    valid_from: Annotated[datetime | None, BeforeValidator(_start)] = None
    expires: Annotated[datetime | None, BeforeValidator(_end)] = None
    revoked: Annotated[datetime | None, BeforeValidator(_start)] = None

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.valid_from is not None and self.expires is not None and self.expires <= self.valid_from:
            raise ValueError("it expires before it is valid")
        return self

    @property
    def limits(self) -> Limits | None:
        if (self.valid_from, self.expires, self.revoked) == (None, None, None):
            return None
        return Limits(self.valid_from, self.expires, stamp(self.revoked) if self.revoked else "")


def _key(value: Any) -> Any:
    return KeyEntry.model_construct(key=public_key(value)) if isinstance(value, str) else value


class DeputyEntry(Entry):
    """``deputies:`` from the beginning of one day to the end of another, ``deputy`` holds roles of ``of``, too."""

    of: str
    deputy: str
    roles: Annotated[tuple[Role, ...], BeforeValidator(listed)] = ()
    """Empty: all of theirs."""
    from_: Annotated[date, BeforeValidator(day)] = Field(alias="from")
    to: Annotated[date, BeforeValidator(day)]
    zone: Zone
    reason: str = ""

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.to < self.from_:
            raise ValueError("it ends before it begins")
        return self


class PersonEntry(BaseModel):
    """``people: {dba-1: {name: …, roles: […], keys: […]}}``. No role: may do nothing; no key: can't sign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    roles: tuple[Role, ...] = ()
    keys: tuple[Annotated[KeyEntry, BeforeValidator(_key)], ...] = ()


People = dict[Annotated[str, AfterValidator(person_id)], PersonEntry]


def gather(sources: Iterable[tuple[Document, People]]) -> tuple[dict[str, Person], list[Problem]]:
    """One list out of several files: every person once, every key one person's."""
    people: dict[str, Person] = {}
    owners: dict[str, str] = {}
    problems: list[Problem] = []
    for document, entries in sources:
        for name, entry in entries.items():
            if name in people:
                problems.append(document.problem(("people", name), "HA206", f"{name} is in two files", key=True))
                continue
            limits = {one.key: one.limits for one in entry.keys if one.limits is not None}
            keys = tuple(dict.fromkeys(one.key for one in entry.keys))
            people[name] = Person(name, entry.name or name, frozenset(entry.roles), keys, limits)
            for n, key in enumerate(one.key for one in entry.keys):
                owner = owners.setdefault(key, name)
                if owner != name:
                    problems.append(document.problem(
                        ("people", name, "keys", n), "HA204", f"one key for two people: {owner} and {name}",
                        "a signature must say who signed: give each a key of their own"))  # fmt: skip
    return people, problems


def deputise(
    document: Document, entries: Sequence[DeputyEntry], people: Mapping[str, Person]
) -> tuple[dict[str, Person], list[Problem]]:
    """Everybody, with what they hold for others. Only the person's own roles are passed on, never a deputy's."""
    found, problems = dict(people), []
    for n, entry in enumerate(entries):
        at: Path = ("deputies", n)
        for word, name in (("of", entry.of), ("deputy", entry.deputy)):
            if name not in people:
                hint = did_you_mean(name, sorted(people))
                problems.append(document.problem((*at, word), "HA209", f"there is nobody called {name!r} here", hint))
        if entry.of == entry.deputy:
            problems.append(document.problem((*at, "deputy"), "HA209", "nobody is their own deputy"))
        if not {entry.of, entry.deputy} <= people.keys():
            continue
        own = people[entry.of].roles
        for role in sorted(set(entry.roles) - own):
            hint = did_you_mean(role, sorted(own))
            problems.append(document.problem((*at, "roles"), "HA209", f"{entry.of} has no role {role!r}", hint))
        zone = ZoneInfo(entry.zone)
        since, until = instant(entry.from_, 0, zone), instant(entry.to + DAY, 0, zone)
        held = Deputising(frozenset(entry.roles) or own, since, until)
        deputy = found[entry.deputy]
        found[entry.deputy] = replace(deputy, deputising=(*deputy.deputising, held))
    return found, problems


def digest(people: Mapping[str, Person]) -> str:
    """SHA-256 (hex) over ids, names, roles, keys, limits and deputies; what a plan remembers of who could approve."""
    plain: Any = [
        [p.id, p.name, sorted(p.roles), sorted(p.keys), {key: _told(limits) for key, limits in p.limits.items()},
         [[sorted(d.roles), stamp(d.since), stamp(d.until)] for d in p.deputising]]
        for _, p in sorted(people.items())
    ]  # fmt: skip
    return hashlib.sha256(rfc8785.dumps(plain)).hexdigest()


def _told(limits: Limits) -> list[str | None]:
    since, until = (stamp(moment) if moment is not None else None for moment in (limits.since, limits.until))
    return [since, until, limits.revoked]
