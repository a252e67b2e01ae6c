"""The proof that the service is back, from the users' side: ``verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hisauto.engine.outcome import Failure
from hisauto.errors import HisautoError
from hisauto.plan.look import Seen
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Runbook
from hisauto.runbook.expressions import Truth, render_value

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive


def prove(drive: Drive, runbook: Runbook, scope: Scope, key: str) -> None:
    """Look at every ``verify`` until it holds. Raises ``Failure`` when one does not, or can't be told."""
    for n, probe in enumerate(runbook.verify, 1):
        name, at = probe.name or f"verify {n}", f"{key}:{n}"
        if drive.journal.recall(at) is not None:
            continue
        seen = drive.looker(scope).until(probe, within=probe.within or 0.0, holds=probe.holds)
        drive.check_cancel()
        if seen.truth is not Truth.true:
            word = "does not hold" if seen.truth is Truth.false else "cannot be told"
            raise Failure(at, f"{name} {word}: {seen.why}")
        measured = {what: most(expression, seen, scope) for what, expression in probe.measures.items()}
        drive.journal.note(at, {"name": name, "measured": measured, **seen.values()}, kind="verified")


def lost(drive: Drive) -> float | None:
    """Seconds of data lost, the most of what the run's own ``verify`` measured; None: unknown, or nothing measured."""
    noted = [drive.journal.recall(f"verify:{n}") for n, _ in enumerate(drive.plan.runbook.verify, 1)]
    found = [known["measured"]["rpo"] for known in noted if known is not None and "rpo" in known["measured"]]
    return None if None in found or not found else max(found)


def most(expression: str, seen: Seen, scope: Scope) -> float | None:
    """Seconds, the most over the hosts. None, unknown, if any of them gives no number."""
    found = []
    for host in seen.hosts:
        try:
            names = {**scope.at(host.host), **host.observation.values}
            found.append(render_value("{{ " + expression + " }}", names))
        except HisautoError:
            found.append(None)
    numbers = [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
    return max(numbers) if numbers and len(numbers) == len(found) else None
