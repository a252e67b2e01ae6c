"""Who works here: orchestrator nodes, and that they live."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import sqlalchemy as sa

from hisauto.store.database import Database
from hisauto.store.rows import Node
from hisauto.store.schema import nodes, runs

FORGOTTEN = timedelta(days=1)
"""Silence after which a node is taken off the list."""
_BEAT = nodes.update().where(nodes.c.id == sa.bindparam("node"))


class Nodes:
    """The nodes on record. A part of ``Store``."""

    _database: Database

    def beat(self, node: str, host: str, pid: int) -> None:
        """Say that a node lives; the first time, that it is there. Waits for nobody's write, nor for the disk."""
        with self._database.apart() as connection:
            now = self._database.time(connection)
            more = _BEAT.values(seen=now, beats=nodes.c.beats + 1)
            if connection.execute(more, {"node": node}).rowcount == 0:
                self._enter(connection, node, host, pid, now)

    def _enter(self, connection: sa.Connection, node: str, host: str, pid: int, now: datetime) -> None:
        gone = nodes.c.seen < now - FORGOTTEN
        # Who holds the lock on a SQLite file is alone with it: all others have died.
        connection.execute(nodes.delete().where(sa.true() if connection.dialect.name == "sqlite" else gone))
        connection.execute(nodes.insert().values(id=node, host=host, pid=pid, started=now, seen=now, beats=1))

    def leave(self, node: str) -> None:
        """It ends: what it drives is anybody's at once."""
        with self._database.apart() as connection:
            connection.execute(nodes.delete().where(nodes.c.id == node))

    def nodes(self) -> list[Node]:
        """By name. A node that was killed stays on the list, silent, until it is forgotten."""
        columns = (nodes.c.id, nodes.c.host, nodes.c.pid, nodes.c.started, nodes.c.seen)
        driven = sa.select(runs.c.node, runs.c.id).where(runs.c.ended_at.is_(None), runs.c.node.is_not(None))
        drives: dict[str, list[str]] = defaultdict(list)
        with self._database.read() as connection:
            for by, run in connection.execute(driven.order_by(runs.c.created_at, runs.c.id)):
                drives[by].append(run)
            rows = connection.execute(sa.select(*columns).order_by(nodes.c.id)).all()
            now = self._database.time(connection)
        return [Node(*row, max(0.0, (now - row.seen).total_seconds()), tuple(drives[row.id])) for row in rows]
