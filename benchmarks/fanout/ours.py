"""hisauto as a client of the benchmark: ``python -m benchmarks.fanout.ours WHAT SITE COMMANDS``.

``probe`` and ``act`` are the bare transport, ``looks`` and ``changes`` a whole run of a runbook: planned, signed,
journaled and audited, by the engine as a node drives it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hisauto.app import App
from hisauto.model.run import RunState
from hisauto.model.transport import Completed, Script, Session
from hisauto.plan.look import FANOUT

OK = Completed(0, "exit", b"ok\n")
SCRIPT = Script("echo ok\n", timeout=60)


def probes(session: Session, count: int) -> None:
    for _ in range(count):
        assert (got := session.probe(SCRIPT)) == OK, got


def acts(session: Session, count: int) -> None:
    place = session.place()
    assert place is not None
    for n in range(count):
        assert session.act(f"{n + 1}#1", 1, SCRIPT, place).completed == OK
    session.forget(1)


def transport(app: App, work: Callable[[Session, int], None], count: int) -> None:
    """As many hosts at once as the engine takes."""
    ssh, inventory = app.transports["ssh"], app.inventory

    def one(host: str) -> None:
        session = ssh.session(host, inventory.vars(host), "bench")
        work(session, count)
        session.close()

    with ThreadPoolExecutor(FANOUT) as pool:
        list(pool.map(one, inventory.hosts))


def run(app: App, runbook: str) -> None:
    """Plan, sign, submit, drive to the end, sign the log."""
    planned = app.plan(runbook, {}, ahead=False)
    view = app.request(planned, app.signer("bench", None))
    with app.drive(app.store.claim(view.id, "bench-1")) as drive:
        assert drive.go() is RunState.succeeded, app.store.view(view.id).summary
    app.publish()


def main(what: str, site: Path, count: int) -> None:
    app = App(site)
    if what in ("probe", "act"):
        transport(app, probes if what == "probe" else acts, count)
    else:
        run(app, f"{what}-{count}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
