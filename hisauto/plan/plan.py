"""The plan: runbook, parameters, hosts and files, frozen under one digest. What was approved is what runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict

from hisauto.runbook.documents import Part, Runbook, Step
from hisauto.runbook.scope import Hosts

PLAN_FORMAT = 1


class Plan(BaseModel):
    """Everything a run needs to know of what it was asked to do; JSON in the store, the same on every node."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    format: int = PLAN_FORMAT
    site: str
    runbook: Runbook
    runbook_digest: str
    params: dict[str, Any]
    hosts: dict[str, tuple[str, ...]]
    locks: tuple[str, ...]
    """Keys: ``host:db1`` for each host, ``lock:his_db`` for each name under ``locks``."""
    secrets: dict[str, str] = {}
    """What the runbook calls them → the site's names. Their values are in no plan."""
    files: dict[str, str]
    """Pinned files (roles, scripts): path → SHA-256."""
    people: str
    """Digest of the site's people."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON (RFC 8785) of the whole plan."""
        return hashlib.sha256(rfc8785.dumps(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        return cls.model_validate(data)

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Every runbook in it by the path of its step, the outer ones first; under '' its own."""
        return parts_of(
            Part(
                runbook=self.runbook,
                digest=self.runbook_digest,
                params=self.params,
                hosts=self.hosts,
                secrets=self.secrets,
            )
        )

    @property
    def secret_names(self) -> list[str]:
        """The site's names of all secrets in it."""
        return sorted({name for part in self.parts.values() for name in part.secrets.values()})

    def names(self, space: str = "", **run: Any) -> dict[str, Any]:
        """What the expressions of one of its runbooks see of it."""
        part = self.parts[space]
        return {"params": part.params, "hosts": {k: Hosts(v) for k, v in part.hosts.items()}, "run": run,
                "secrets": part.secrets}  # fmt: skip


def parts_of(own: Part) -> dict[str, Part]:
    """A runbook, under '', and those that are steps in it, by their paths."""
    return {"": own, **dict(_parts(own.runbook.steps, ""))}


def _parts(steps: tuple[Step, ...], prefix: str) -> Iterator[tuple[str, Part]]:
    for n, step in enumerate(steps, 1):
        if step.part is not None:
            yield f"{prefix}{n}", step.part
        yield from _parts(step.block or (), f"{prefix}{n}.")


def walk(steps: tuple[Step, ...], *, parts: bool = True) -> Iterator[Step]:
    """Every step of a list, blocks and what is in them; with ``parts`` also of the runbooks that are steps."""
    for step in steps:
        yield step
        if step.block is not None and (parts or step.part is None):
            yield from walk(step.block, parts=parts)
