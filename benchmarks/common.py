"""What the benchmarks share: a table, JSON beside it, and what machine it was."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def machine() -> dict[str, Any]:
    """Where and when: cores, Python, and how busy it is, for a busy machine measures something else."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(),
        "python": platform.python_version(), "load_before": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def report(name: str, runs: Mapping[str, Sequence[float]], goals: Mapping[str, tuple[float, float]],
           about: Mapping[str, Any]) -> bool:  # fmt: skip
    """Print medians and goals, write ``results/NAME.json``; whether every goal was reached.

    ``runs``: seconds by what was run. ``goals``: by name, what was measured and the most that it may be.
    """
    for what, took in runs.items():
        each = " ".join(f"{second:.2f}" for second in took)
        print(f"{what:44} median {statistics.median(took):7.3f} s   ({each})")
    for what, (measured, most) in goals.items():
        print(f"{what:44} {measured:14.2f}     goal: at most {most:g}: {'yes' if measured <= most else 'NO'}")
    RESULTS.mkdir(exist_ok=True)
    kept = {"about": dict(about), "seconds": {k: [round(s, 3) for s in v] for k, v in runs.items()},
            "goals": {k: {"measured": round(m, 3), "most": most} for k, (m, most) in goals.items()}}  # fmt: skip
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    return all(measured <= most for measured, most in goals.values())
