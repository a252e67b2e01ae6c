"""Parked runs, and what makes them go on: a run that is not parked is one that nodes will find and drive."""

from __future__ import annotations

from collections.abc import Set

import sqlalchemy as sa

from hisauto.store.schema import runs


def unpark(connection: sa.Connection, run: str) -> None:
    """Wake a run, if it is parked."""
    connection.execute(runs.update().where(runs.c.id == run, runs.c.parked).values(parked=False, wanted=None))


def unpark_waiters(connection: sa.Connection, freed: Set[str]) -> None:
    """Wake the runs that are parked for one of these lock keys."""
    waiting = sa.select(runs.c.id, runs.c.wanted).where(
        runs.c.ended_at.is_(None), runs.c.parked, runs.c.wanted.is_not(None)
    )
    for run, wanted in connection.execute(waiting).all():
        if not freed.isdisjoint(wanted):
            unpark(connection, run)
