"""Before anything is touched: who asked, which secrets and hosts there are, what the guards and the window say."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hisauto.clock import stamp
from hisauto.engine.decisions import check_decision
from hisauto.engine.outcome import Ended, Failure
from hisauto.errors import Broken, HisautoError, Refused, Superseded
from hisauto.model.person import at
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
        moment = drive.clock.now()
        if drive.changed():  # then it held when it began: that a key or a deputy's time ran out since stops nothing
            moment = min(moment, drive.run.created_at)
        try:
            check_decision(request, people=at(drive.world.people, moment), run=drive.run.id, digest=drive.plan.digest)
            if not drive.world.may(request.person, "run", moment):
                raise Refused(f"{request.person} may not run runbooks here")
        except HisautoError as e:
            why = f"the request does not hold: {e}"
            if drive.changed():  # then nobody may say that nothing was touched
                raise Failure("request", why) from e
            raise Ended(RunState.refused, why) from e

    def secrets(self) -> list[str]:
        """Have every secret of the plan, so that it is masked from here on. Why some can't be had."""
        whys = []
        for name in self.drive.plan.secret_names:
            try:
                self.drive.world.secrets.value(name)
            except HisautoError as e:
                whys.append(str(e))
        return whys

    def with_secrets(self) -> None:
        """One that can't be had refuses the run. Once something was changed the drive breaks off, to be tried again."""
        why = "; ".join(self.secrets())
        if why and self.drive.changed():
            raise HisautoError(why)
        if why:
            raise Ended(RunState.refused, why)

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
        known = self.journal.recall(key)  # registered by restore(), and by now there may be newer ones
        if known is None:
            known = self.journal.note(key, self._look(), kind="guards")
            self._register(known)
        if known["refused"]:
            raise Ended(RunState.refused, "; ".join(known["refused"]))

    def _look(self) -> dict[str, Any]:
        drive, taken = self.drive, []
        with ThreadPoolExecutor(1) as pool:
            hosts = pool.submit(self._other_hosts)
            answers = guards.take_all(drive.plan, lambda space: drive.looker(drive.scope(space)), patient=True)
            refused = hosts.result()
        for space, (name, guard, seen) in answers:
            taken.append({"name": name, "register": guard.register_, "space": space, **seen.values()})
            if seen.truth is not Truth.true:
                word = "says no" if seen.truth is Truth.false else "cannot be told"
                refused.append(f"{name} {word}: {seen.why}")
        drive.check_cancel()
        window = drive.windows.now()
        if not window.granted:
            refused.append(window.why)
        return {"guards": taken, "window": window.why, "refused": refused, "at": stamp(drive.clock.now())}

    def _other_hosts(self) -> list[str]:
        """Why the hosts are not those of the plan any more; empty when they are."""
        drive, others = self.drive, []
        for space, part in drive.plan.parts.items():
            try:
                found = discover(part.runbook, drive.looker(drive.scope(space).plus(hosts={}))).hosts
            except (Superseded, Broken):
                raise
            except HisautoError as e:
                others.append(str(e))
                continue
            if {k: tuple(v) for k, v in found.items()} != dict(part.hosts):
                said = f"{_hosts(found)}, not {_hosts(part.hosts)}"
                others.append(f"the hosts are not those of the plan any more: {said}")
        return others

    def _register(self, taken: Mapping[str, Any]) -> None:
        for guard in taken["guards"]:
            scope = self.drive.scope(guard["space"])
            for host in guard["hosts"] if guard["register"] else ():
                self.drive.known.add(scope.unit(host["host"]), guard["register"], host["values"], at=guard["at"],
                                     source=guard["name"])  # fmt: skip


def _hosts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={'+'.join(v) or 'none'}" for k, v in found.items())
