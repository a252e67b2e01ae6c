"""A run as it stood at one moment, kept as JSON: for pictures and screens that are made again by every test."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

from hisauto.cli.snapshot import Snapshot
from hisauto.clock import stamp
from hisauto.model.run import Attempt, Decision, RunView
from hisauto.plan.plan import Plan


def dump(snapshot: Snapshot) -> str:
    found: dict[str, Any] = {
        f.name: getattr(snapshot, f.name) for f in dataclasses.fields(snapshot) if f.name != "plan"
    }
    found |= {"view": dataclasses.asdict(snapshot.view), "plan": snapshot.plan.to_json()}
    found |= {name: [dataclasses.asdict(x) for x in found[name]] for name in ("attempts", "decisions")}
    return json.dumps(
        found, indent=1, ensure_ascii=False, default=lambda x: stamp(x) if isinstance(x, datetime) else str(x)
    )


def load(path: Path) -> Snapshot:
    kept = json.loads(path.read_text())
    return Snapshot(
        view=_read(RunView, kept["view"]),
        plan=Plan.from_json(kept["plan"]),
        attempts=[_read(Attempt, x) for x in kept["attempts"]],
        memos=kept["memos"],
        decisions=[_read(Decision, x) for x in kept["decisions"]],
        now=datetime.fromisoformat(kept["now"]),
        tail=kept["tail"],
    )


def _read(kind: Any, fields: dict[str, Any]) -> Any:
    types = get_type_hints(kind)
    return kind(**{name: _value(types[name], value) for name, value in fields.items()})


def _value(kind: Any, value: Any) -> Any:
    if value is not None and kind in (datetime, datetime | None):
        return datetime.fromisoformat(value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, str) else value
