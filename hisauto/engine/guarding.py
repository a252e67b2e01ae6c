"""Before anything is touched: who asked, which hosts, and what the guards say."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hisauto.clock import stamp
from hisauto.engine.decisions import check_decision
from hisauto.engine.outcome import Ended, Failure
from hisauto.errors import HisautoError, Refused, Superseded
from hisauto.model.run import RunState
from hisauto.plan import guards
from hisauto.plan.hosts import discover
from hisauto.runbook.expressions import Truth

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive

UNDER_LOCK = "guards"
BEFORE_CHANGE = "guards:change"


class Guarding:
    """Takes guards for one drive, and says which drive's were the last."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.journal = drive.journal

    def request(self) -> None:
        """That the request is signed, by somebody who may. Anything else refuses the run."""
        drive, request = self.drive, self.journal.request()
        try:
            check_decision(request, people=drive.world.people, run=drive.run.id, digest=drive.plan.digest)
            if not drive.world.may(request.person, "run"):
                raise Refused(f"{request.person} may not run runbooks here")
        except HisautoError as e:
            why = f"the request does not hold: {e}"
            if drive.changed():  # then nobody may say that nothing was touched
                raise Failure("request", why) from e
            raise Ended(RunState.refused, why) from e

    def under_lock(self) -> None:
        """Hosts and guards, once the locks are held."""
        self._take(UNDER_LOCK)

    def before_change(self) -> None:
        """Hosts and guards, just before the first change: as they are now, not as an earlier drive saw them."""
        earlier = self.journal.recall(BEFORE_CHANGE) is not None
        self._take(f"{BEFORE_CHANGE}:{self.journal.epoch}" if earlier else BEFORE_CHANGE)

    def restore(self) -> None:
        """Make known again what guards registered, the newest last."""
        later = [f"{BEFORE_CHANGE}:{epoch}" for epoch in range(1, self.journal.epoch + 1)]
        for key in (UNDER_LOCK, BEFORE_CHANGE, *later):
            if (known := self.journal.recall(key)) is not None:
                self._register(known)

    def _take(self, key: str) -> None:
        """All are taken and reported. Anything but a clear yes refuses the run."""
        known = self.journal.recall(key)
        if known is None:
            known = self.journal.note(key, self._look(), kind="guards")
        self._register(known)
        if known["refused"]:
            raise Ended(RunState.refused, "; ".join(known["refused"]))

    def _look(self) -> dict[str, Any]:
        drive, taken = self.drive, []
        with ThreadPoolExecutor(1) as pool:
            hosts = pool.submit(self._other_hosts)
            answers = guards.take(drive.plan.runbook, drive.looker(drive.scope()), patient=True)
            refused = hosts.result()
        for name, guard, seen in answers:
            taken.append({"name": name, "register": guard.register_, **seen.values()})
            if seen.truth is not Truth.true:
                word = "says no" if seen.truth is Truth.false else "cannot be told"
                refused.append(f"{name} {word}: {seen.why}")
        drive.check_cancel()
        return {"guards": taken, "refused": refused, "at": stamp(drive.clock.now())}

    def _other_hosts(self) -> list[str]:
        """Why the hosts are not those of the plan any more; empty when they are."""
        drive = self.drive
        try:
            found = discover(drive.plan.runbook, drive.looker(drive.scope().plus(hosts={}))).hosts
        except Superseded:
            raise
        except HisautoError as e:
            return [str(e)]
        if {k: tuple(v) for k, v in found.items()} == dict(drive.plan.hosts):
            return []
        return [f"the hosts are not those of the plan any more: {_hosts(found)}, not {_hosts(drive.plan.hosts)}"]

    def _register(self, taken: Mapping[str, Any]) -> None:
        for guard in taken["guards"]:
            for host in guard["hosts"] if guard["register"] else ():
                self.drive.register(guard["register"], host["host"], host["values"], at=guard["at"],
                                    source=guard["name"])  # fmt: skip


def _hosts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={'+'.join(v) or 'none'}" for k, v in found.items())
