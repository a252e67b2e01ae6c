"""Parked runs, and what makes them go on."""

from __future__ import annotations

from collections.abc import Callable, Collection

import sqlalchemy as sa

from hisauto.store.schema import runs

Wake = Callable[[sa.Connection, str], None]
"""Has a run driven: called with the run inside the transaction that woke it. It must not use the store."""


def nobody(_: sa.Connection, __: str) -> None:
    """Nodes that look for runs by themselves need no hook."""


def unpark(connection: sa.Connection, run: str, wake: Wake) -> bool:
    """Wake a run if it is parked, once."""
    woken = connection.execute(runs.update().where(runs.c.id == run, runs.c.parked).values(parked=False, wanted=None))
    if woken.rowcount == 0:
        return False
    wake(connection, run)
    return True


def unpark_waiters(connection: sa.Connection, freed: Collection[str], wake: Wake) -> None:
    """Wake the runs that are parked for one of these lock keys, the oldest first."""
    waiting = sa.select(runs.c.id, runs.c.wanted).where(runs.c.parked, runs.c.wanted.is_not(None))
    for run, wanted in connection.execute(waiting.order_by(runs.c.created_at, runs.c.id)).all():
        if not set(wanted).isdisjoint(freed):
            unpark(connection, run, wake)
