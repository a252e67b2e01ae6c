"""How long a thousand schedules of the failover's rehearsal take: ``python -m benchmarks.rehearsal [N]``. No peer.

The bundled runbook's first test: every single fault, then a sample of pairs, on as many processes as there are cores.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from benchmarks.common import machine, report
from hisauto import actions
from hisauto.testing.rehearsal.explore import Bounds
from hisauto.testing.rehearsal.rehearse import open_rehearsal

RUNBOOK = Path(__file__).parents[1] / "runbooks/database-failover.yml"


def main(schedules: int) -> bool:
    about = machine()
    rehearsal = open_rehearsal(RUNBOOK, actions.load(), lambda path: path.name)
    begun = time.monotonic()
    explored = next(rehearsal.play(Bounds(schedules=schedules)))
    took = time.monotonic() - begun
    played = len(explored.every)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    about |= {"runbook": "database-failover", "test": explored.test.test, "schedules": played,
              "single_faults": len(explored.singles), "pairs": len(explored.pairs),
              "counterexamples": len(explored.counterexamples),
              "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 1)}  # fmt: skip
    per_thousand = took / played * 1000
    return report("rehearsal", {f"{played} schedules": [took]}, {"1,000 schedules (s)": (per_thousand, 60.0)}, about)


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000) else 1)
