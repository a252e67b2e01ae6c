"""Drivers of runs as processes of their own, without the lock that allows one node only.

``python -m tests.once.drivers`` reads orders ``{"site", "run", "node", "report"}``, one a line, forks a driver
for each, and prints its pid; everything is imported by then. What a driver came to is in its report.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import hisauto.engine.drive
import hisauto.engine.world
import hisauto.transports.local
import hisauto.transports.ssh  # noqa: F401 - all of these so that not every fork has to
from hisauto.app import App
from hisauto.errors import Superseded


def drive(order: dict[str, Any]) -> dict[str, Any]:
    """Claim the run and drive it on."""
    app = App(Path(order["site"]))
    journal = app.store.claim(order["run"], order["node"])
    say(order, epoch=journal.epoch)
    try:
        with app.drive(journal) as drive:
            end = drive.go()
    except Superseded:
        return {"end": "superseded"}
    return {"end": end.value if end is not None else "parked"}


def say(order: dict[str, Any], **what: Any) -> None:
    with Path(order["report"]).open("a") as file:
        file.write(json.dumps(what) + "\n")


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            order = json.loads(line)
            try:
                say(order, **drive(order))
            except BaseException:
                say(order, end="broken", why=traceback.format_exc())
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
