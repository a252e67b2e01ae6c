"""One run under one epoch, as the engine reads and writes it: ``hisauto.model.journal.Journal``."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hisauto.clock import stamp
from hisauto.errors import Broken, Superseded
from hisauto.model.run import Attempt, AttemptState, Decision, RunState, RunView, check_attempt_move, check_run_move
from hisauto.store.database import Database, Writing
from hisauto.store.output import Gathered
from hisauto.store.rows import VIEW, attempt_of, decision_from_json, decision_of, view_of
from hisauto.store.schema import attempts, decisions, locks, memos, runs
from hisauto.store.values import for_log, plain
from hisauto.store.wake import unpark_waiters

_UNSETTLED = frozenset({AttemptState.started, AttemptState.in_doubt})


@dataclass(frozen=True)
class _Now:
    """The run as this transaction found it."""

    writing: Writing
    state: RunState
    inbox: int

    @property
    def connection(self) -> sa.Connection:
        return self.writing.connection


class StoreJournal:
    """Made by ``Store.claim``, in the transaction that raised the epoch: nobody else can have written since."""

    def __init__(self, database: Database, connection: sa.Connection, run: str, epoch: int, node: str):
        self.run = run
        self.epoch = epoch
        self._database = database
        self._node = node
        self._lock = threading.RLock()
        self._wanted: Sequence[str] = ()
        self._load(connection)

    def _load(self, connection: sa.Connection) -> None:
        mine = [column for column in attempts.c if column.name != "run"]
        rows = connection.execute(sa.select(*mine).where(attempts.c.run == self.run).order_by(attempts.c.seq))
        self._attempts = {(row.path, row.n): attempt_of(row) for row in rows}
        kept = connection.execute(sa.select(memos.c.key, memos.c.value).where(memos.c.run == self.run))
        self._memos = {row.key: row.value for row in kept}
        self._output = Gathered(connection, self.run, self._lock, self._write_output)

    # ---- reading

    def view(self) -> RunView:
        with self._database.read() as connection:
            return view_of(connection.execute(sa.select(*VIEW).where(runs.c.id == self.run)).one())

    def plan(self) -> Mapping[str, Any]:
        stored: dict[str, Any] = self._column(runs.c.plan)
        return stored

    def request(self) -> Decision:
        return decision_from_json(self._column(runs.c.request))

    def inbox(self) -> int:
        return int(self._column(runs.c.inbox))

    def recall(self, key: str) -> Any | None:
        return self._memos.get(key)

    def attempts(self) -> Sequence[Attempt]:
        with self._lock:
            return list(self._attempts.values())

    def attempt(self, path: str, n: int) -> Attempt | None:
        return self._attempts.get((path, n))

    def decisions(self, question: str) -> Sequence[Decision]:
        mine = [column for column in decisions.c if column.name != "run"]
        query = sa.select(*mine).where(decisions.c.run == self.run, decisions.c.question == question)
        with self._database.read() as connection:
            return [decision_of(row) for row in connection.execute(query.order_by(decisions.c.at, decisions.c.person))]

    def cancels(self) -> Sequence[Decision]:
        return self.decisions("cancel")

    def _column(self, column: sa.Column[Any]) -> Any:
        with self._database.read() as connection:
            return connection.execute(sa.select(column).where(runs.c.id == self.run)).scalar_one()

    # ---- writing

    @contextmanager
    def _write(self, *, after_end: bool = False) -> Iterator[_Now]:
        query = sa.select(runs.c.epoch, runs.c.state, runs.c.inbox).where(runs.c.id == self.run)
        with self._lock:
            with self._database.write() as writing:
                row = writing.connection.execute(query).one()
                if row.epoch != self.epoch:
                    raise Superseded(f"run {self.run} is driven under epoch {row.epoch}, this was {self.epoch}")
                now = _Now(writing, RunState(row.state), row.inbox)
                if now.state.ended and not after_end:
                    raise Broken(f"run {self.run} has ended ({now.state}): nothing more can happen in it")
                yield now
                # At no further cost, and so that the output of an attempt is there when its end is.
                written = self._output.save(writing.connection)
            self._output.saved(written)

    def _log(self, now: _Now, kind: str, **data: Any) -> None:
        now.writing.log(kind, self.run, self._node, for_log(data))

    def _update(self, now: _Now, **values: Any) -> None:
        now.connection.execute(runs.update().where(runs.c.id == self.run).values(**values))

    def note(self, key: str, value: Any, *, kind: str = "note") -> Any:
        with self._lock:
            if key in self._memos:
                return self._memos[key]
            kept = plain(value)
            with self._write(after_end=True) as now:
                now.connection.execute(memos.insert().values(run=self.run, key=key, value=kept))
                self._log(now, kind, key=key, value=kept)
            self._memos[key] = kept
            return kept

    def record(
        self,
        path: str,
        n: int,
        state: AttemptState,
        *,
        name: str = "",
        host: str | None = None,
        intent: Mapping[str, Any] | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Attempt:
        said = {key: plain(value) for key, value in (("intent", intent), ("result", result)) if value is not None}
        with self._lock:
            old = self._attempts.get((path, n))
            with self._write() as now:
                check_attempt_move(old.state if old else None, state)
                moment = now.writing.now
                base = old or Attempt(path, n, state, name, host, self.epoch, seq=len(self._attempts) + 1)
                new = replace(
                    base,
                    state=state,
                    epoch=self.epoch,
                    started_at=base.started_at or moment,
                    ended_at=base.ended_at or (None if state in _UNSETTLED else moment),
                    **said,
                )
                self._save(now.connection, new, is_new=old is None)
                self._log(now, f"attempt.{state}", path=path, n=n, name=new.name, host=new.host, epoch=self.epoch,
                          state=str(state), **said)  # fmt: skip
            self._attempts[path, n] = new
            return new

    def _save(self, connection: sa.Connection, attempt: Attempt, *, is_new: bool) -> None:
        values = {**asdict(attempt), "state": str(attempt.state), "run": self.run}
        if is_new:
            connection.execute(attempts.insert().values(values))
            return
        key = (attempts.c.run == self.run) & (attempts.c.path == attempt.path) & (attempts.c.n == attempt.n)
        connection.execute(attempts.update().where(key).values(values))

    def output(self, attempt: str, stream: str, text: str) -> None:
        """Written with whatever is written next, and by itself when it has waited or gathered enough.

        Raises ``Superseded`` only when it is written. What waits when a process is killed is gone.
        """
        with self._lock:
            if self._output.add(attempt, stream, text):
                self._write_output()

    def _write_output(self) -> None:
        with self._write(after_end=True):
            pass

    def move(self, state: RunState, *, why: str = "") -> None:
        with self._write() as now:
            if state.ended:
                raise Broken(f"{state} is an end, and ends are written by end()")
            check_run_move(now.state, state)
            if state == now.state:
                return
            self._update(now, state=str(state), question=None, wake_at=None)
            self._log(now, "run.state", state=str(state), was=str(now.state), why=why)

    def take_locks(self, keys: Sequence[str]) -> Mapping[str, str]:
        with self._write() as now:
            mine, others = self._holders(now.connection, keys)
            if others:
                self._wanted = list(keys)
                return others
            new = sorted(set(keys) - mine)
            if new:
                rows = [{"key": key, "run": self.run, "since": now.writing.now} for key in new]
                now.connection.execute(locks.insert(), rows)
                self._log(now, "lock.taken", keys=new)
            self._wanted = ()
            return {}

    def _holders(self, connection: sa.Connection, keys: Collection[str]) -> tuple[set[str], dict[str, str]]:
        """Which of the keys this run holds, and who holds the others that are taken."""
        rows = connection.execute(sa.select(locks.c.key, locks.c.run).where(locks.c.key.in_(keys)))
        held = {row.key: row.run for row in rows}
        mine = {key for key, run in held.items() if run == self.run}
        return mine, {key: run for key, run in held.items() if key not in mine}

    def park(self, state: RunState, question: Mapping[str, Any], wake_at: datetime | None, seen: int) -> bool:
        asked = plain(dict(question))
        for_lock = asked.get("kind") == "lock"
        with self._write() as now:
            if state.ended:
                raise Broken(f"a run can't wait in {state}, which is an end")
            check_run_move(now.state, state)
            if now.inbox != seen:
                return False
            # Who held the lock may have ended since take_locks, and woke only those that were parked by then.
            if for_lock and not self._holders(now.connection, self._wanted)[1]:
                return False
            self._update(now, state=str(state), question=asked, wake_at=wake_at, parked=True,
                         wanted=list(self._wanted) if for_lock else None)  # fmt: skip
            self._log(now, "run.parked", state=str(state), was=str(now.state), question=asked,
                      wake_at=stamp(wake_at) if wake_at else None)  # fmt: skip
            return True

    def end(self, state: RunState, summary: Mapping[str, Any]) -> None:
        kept = plain(dict(summary))
        with self._write() as now:
            if not state.ended:
                raise Broken(f"{state} is no end")
            check_run_move(now.state, state)
            self._update(now, state=str(state), ended_at=now.writing.now, summary=kept, question=None, wake_at=None)
            self._log(now, "run.ended", state=str(state), was=str(now.state), summary=kept)
            mine = sa.select(locks.c.key).where(locks.c.run == self.run).order_by(locks.c.key)
            freed = now.connection.execute(mine).scalars().all()
            if freed:
                now.connection.execute(locks.delete().where(locks.c.run == self.run))
                self._log(now, "lock.freed", keys=list(freed))
                unpark_waiters(now.connection, set(freed))
