"""People as the site's files name them, and what must hold for their keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator, BaseModel, ConfigDict

from hisauto.model.person import Person
from hisauto.model.problems import Problem
from hisauto.model.yamltext import Document

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


class PersonEntry(BaseModel):
    """``people: {dba-1: {name: …, roles: […], keys: […]}}``. No role: may do nothing; no key: can't sign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    roles: tuple[Role, ...] = ()
    keys: tuple[Annotated[str, AfterValidator(public_key)], ...] = ()


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
            people[name] = Person(name, entry.name or name, frozenset(entry.roles), tuple(dict.fromkeys(entry.keys)))
            for n, key in enumerate(entry.keys):
                owner = owners.setdefault(key, name)
                if owner != name:
                    problems.append(document.problem(
                        ("people", name, "keys", n), "HA204", f"one key for two people: {owner} and {name}",
                        "a signature must say who signed: give each a key of their own"))  # fmt: skip
    return people, problems


def digest(people: Mapping[str, Person]) -> str:
    """SHA-256 (hex) over ids, names, roles and keys; what a plan remembers of who could approve."""
    plain = [[p.id, p.name, sorted(p.roles), sorted(p.keys)] for _, p in sorted(people.items())]
    return hashlib.sha256(rfc8785.dumps(plain)).hexdigest()
