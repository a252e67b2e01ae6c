"""``hisauto node`` with a deadly boundary: ``python -m tests.crash.labnode SITE TOLD AT``.

The real node on a real site. What its queue does on its own, with nothing of ours in the call, is not counted: that is
plumbing which may be thrown away, and it comes by the clock.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from hisauto.cli.root import cli
from hisauto.engine.world import SiteWorld
from hisauto.model.transport import Session
from hisauto.store import engine
from hisauto.store.store import Store

from .boundaries import Boundaries


def main(site: str, told: str, at: str) -> None:
    """Work on the site until the boundary, or until told to end. 0: there is none."""
    boundaries = Boundaries(Path(told), int(at), signal.SIGKILL)
    opened, session = engine.open_store, SiteWorld.session

    def open_store(*args: object) -> Store:
        store = opened(*args)  # type: ignore[arg-type]
        boundaries.in_database(store.engine)
        return store

    def crossed(self: SiteWorld, host: str | None) -> Session:
        return boundaries.session(session(self, host), host)

    engine.open_store = open_store  # type: ignore[assignment]
    SiteWorld.session = crossed  # type: ignore[method-assign]
    boundaries.on_disk()
    cli(["--site", site, "node"], prog_name="hisauto")


if __name__ == "__main__":
    main(*sys.argv[1:])
