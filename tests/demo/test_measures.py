"""A loss that several hosts measure: the most of them, and unknown if one can't tell."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hisauto.engine.proof import most
from hisauto.model.action import Observation
from hisauto.plan.look import HostSeen, Seen
from hisauto.runbook.expressions import Truth

EXPRESSION = "(stdout | from_json).lost_seconds"


@pytest.mark.parametrize(
    ("outputs", "measured"),
    [
        (['{"lost_seconds": 0.0}'], 0.0),
        (['{"lost_seconds": 0.0}', '{"lost_seconds": 2.5}', '{"lost_seconds": 1}'], 2.5),
        (['{"lost_seconds": 0.0}', None], None),
        (['{"lost_seconds": 0.0}', "not JSON"], None),
        (['{"lost_seconds": true}'], None),
        (['{"lost_seconds": null}'], None),
        (["{}"], None),
        ([], None),
    ],
)
def test_the_most_or_unknown(outputs: list[str | None], measured: float | None) -> None:
    hosts = tuple(
        HostSeen(f"app{n}", Truth.true, "", Observation(text is not None, {"stdout": text} if text else {}))
        for n, text in enumerate(outputs)
    )
    seen = Seen(Truth.true, "", hosts, datetime.now(UTC))
    scope: Any = SimpleNamespace(at=lambda host: {})
    assert most(EXPRESSION, seen, scope) == measured
