"""The one file that knows DBOS: a queue of drives, each taken by one node, and taken again after a crash.

None of our steps is one of DBOS's: a drive is one workflow without steps, so nothing of ours is replayed by it and an
upgrade can't break on its call order. Its tables are plumbing and may be thrown away; ours are the truth.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

QUEUE = "runs"
VERSION = "drive-1"
"""Pinned: by default DBOS hashes the source, and an upgraded node would leave its open runs alone."""
DRIVES = 200
"""Runs driven side by side on one node."""
POLL = 0.1
"""Seconds between two looks at the queue."""


class Durable:
    """DBOS on this node."""

    def __init__(self, engine: sa.Engine, url: str, node: str, drive: Callable[[str], None]) -> None:
        DBOS(
            config=DBOSConfig(
                name="hisauto",
                system_database_engine=engine,
                system_database_url=url,
                executor_id=node,
                application_version=VERSION,
                serializer=DBOSPortableJSONSerializer(),
                log_level="WARNING",
            )
        )
        logging.getLogger("dbos").setLevel(logging.WARNING)

        @DBOS.workflow(name="hisauto.drive", max_recovery_attempts=None)
        def drive_run(run: str) -> None:
            drive(run)

        self._workflow = drive_run

    def start(self) -> None:
        """Take up work. What was pending on this node when it died comes first."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=DRIVES, polling_interval_sec=POLL)

    def enqueue(self, run: str) -> None:
        """Have a run driven."""
        DBOS.enqueue_workflow(QUEUE, self._workflow, run)

    def stop(self) -> None:
        """Stop taking work. Drives in progress are left where they are: the process has to end now."""
        DBOS.destroy()
