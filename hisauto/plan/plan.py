"""The plan: runbook, parameters, hosts and files, frozen under one digest. What was approved is what runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict

from hisauto.runbook.documents import Runbook, Step
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

    def names(self, **run: Any) -> dict[str, Any]:
        """What expressions see of it."""
        return {"params": self.params, "hosts": {k: Hosts(v) for k, v in self.hosts.items()}, "run": run}


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step of a list, blocks and what is in them."""
    for step in steps:
        yield step
        if step.block is not None:
            yield from walk(step.block)
