"""One run under one epoch, as the engine reads and writes it: ``hisauto.model.journal.Journal``."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hisauto.clock import stamp
from hisauto.errors import Broken, Superseded
from hisauto.model.run import Attempt, AttemptState, Decision, RunState, RunView, check_attempt_move, check_run_move
from hisauto.redact import Redactor
from hisauto.store.database import Database, Writing
from hisauto.store.output import Gathered
from hisauto.store.rows import VIEW, attempt_of, decision_from_json, decision_of, view_of
from hisauto.store.schema import Moment, attempts, decisions, locks, memos, runs
from hisauto.store.values import for_log, plain
from hisauto.store.wake import unpark_waiters

_UNSETTLED = frozenset({AttemptState.started, AttemptState.in_doubt})
# Built once: these run twice an attempt, and building takes as long as running them.
_NOW = sa.select(runs.c.epoch, runs.c.state, runs.c.inbox).where(runs.c.id == sa.bindparam("of"))
_DECISIONS = (
    sa.select(*(column for column in decisions.c if column.name != "run"))
    .where(decisions.c.run == sa.bindparam("of"), decisions.c.question == sa.bindparam("asked"))
    .order_by(decisions.c.at, decisions.c.person)
)
_BEGIN = attempts.insert()
_GO_ON = attempts.update().where(
    attempts.c.run == sa.bindparam("of"), attempts.c.path == sa.bindparam("at"), attempts.c.n == sa.bindparam("number")
)


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
        self.redactor = Redactor()
        self._held: dict[tuple[str, str], str] = {}
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
        with self._database.read() as connection:
            return [decision_of(row) for row in connection.execute(_DECISIONS, {"of": self.run, "asked": question})]

    def cancels(self) -> Sequence[Decision]:
        return self.decisions("cancel")

    def _column(self, column: sa.Column[Any]) -> Any:
        with self._database.read() as connection:
            return connection.execute(sa.select(column).where(runs.c.id == self.run)).scalar_one()

    # ---- writing

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """One at a time, and durable after the block. Others write while this one waits for the disk."""
        with self._lock:
            yield
        self._database.last()

    @contextmanager
    def _write(self, *, after_end: bool = False) -> Iterator[_Now]:
        with self._lock:
            with self._database.commit() as writing:
                row = writing.connection.execute(_NOW, {"of": self.run}).one()
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
        with self._lasting():
            if key in self._memos:
                return self._memos[key]
            kept = plain(value) if kind == "hosts" else self._masked(value)  # names of the inventory, gone by later
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
        told = (("intent", intent), ("result", result))
        said = {key: self._masked(value) for key, value in told if value is not None}
        with self._lasting():
            if result is not None:
                self._let_go(f"{path}#{n}")
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
        values = {**vars(attempt), "state": str(attempt.state)}
        if is_new:
            connection.execute(_BEGIN, {**values, "run": self.run})
        else:
            connection.execute(_GO_ON, {**values, "of": self.run, "at": attempt.path, "number": attempt.n})

    def output(self, attempt: str, stream: str, text: str) -> None:
        """Written with whatever is written next, and by itself when it has waited or gathered enough.

        Raises ``Superseded`` only when it is written. What waits when a process is killed is gone.
        """
        with self._lock:
            text = self._held.pop((attempt, stream), "") + text
            end = self.redactor.whole(text)
            if text[end:]:
                self._held[attempt, stream] = text[end:]
            if self._output.add(attempt, stream, self.redactor.text(text[:end])):
                self._write_output()

    def _let_go(self, attempt: str) -> None:
        """Nothing more comes of this attempt: what looked like a secret's beginning was none."""
        for key in [key for key in self._held if key[0] == attempt]:
            self._output.add(*key, self.redactor.text(self._held.pop(key)))

    def _masked(self, value: Any) -> Any:
        return self.redactor.value(plain(value))

    def _write_output(self) -> None:
        with self._write(after_end=True):
            pass

    def move(self, state: RunState, *, why: str = "") -> None:
        with self._lasting(), self._write() as now:
            if state.ended:
                raise Broken(f"{state} is an end, and ends are written by end()")
            check_run_move(now.state, state)
            if state == now.state:
                return
            self._update(now, state=str(state), question=None, wake_at=None)
            self._log(now, "run.state", state=str(state), was=str(now.state), why=self.redactor.text(why))

    def take_locks(self, keys: Sequence[str]) -> Mapping[str, str]:
        with self._lasting(), self._write() as now:
            mine, others = self._holders(now.connection, keys)
            if others:
                self._wanted = list(keys)
                return others
            new = sorted(set(keys) - mine)
            if new:
                rows = [{"key": key, "run": self.run, "since": now.writing.now} for key in new]
                now.connection.execute(locks.insert(), rows)
                self._log(now, "lock.taken", keys=new)
                self._update(now, wanted_since=None)
            self._wanted = ()
            return {}

    def _holders(self, connection: sa.Connection, keys: Collection[str]) -> tuple[set[str], dict[str, str]]:
        """Which of the keys this run holds, and who holds the others that are taken."""
        rows = connection.execute(sa.select(locks.c.key, locks.c.run).where(locks.c.key.in_(keys)))
        held = {row.key: row.run for row in rows}
        mine = {key for key, run in held.items() if run == self.run}
        return mine, {key: run for key, run in held.items() if key not in mine}

    def park(self, state: RunState, question: Mapping[str, Any], wake_at: datetime | None, seen: int) -> bool:
        asked = self._masked(dict(question))
        for_lock = asked.get("kind") == "lock"
        with self._lasting(), self._write() as now:
            if state.ended:
                raise Broken(f"a run can't wait in {state}, which is an end")
            check_run_move(now.state, state)
            if now.inbox != seen:
                return False
            # Who held the lock may have ended since take_locks, and woke only those that were parked by then.
            if for_lock and not self._holders(now.connection, self._wanted)[1]:
                return False
            self._update(now, state=str(state), question=asked, wake_at=wake_at, parked=True, node=None,
                         wanted=list(self._wanted) if for_lock else None)  # fmt: skip
            if for_lock:
                begun = sa.literal(now.writing.now, Moment())
                self._update(now, wanted_since=sa.func.coalesce(runs.c.wanted_since, begun))
            self._log(now, "run.parked", state=str(state), was=str(now.state), question=asked,
                      wake_at=stamp(wake_at) if wake_at else None)  # fmt: skip
            return True

    def end(self, state: RunState, summary: Mapping[str, Any]) -> None:
        kept = self._masked(dict(summary))
        with self._lasting(), self._write() as now:
            if not state.ended:
                raise Broken(f"{state} is no end")
            check_run_move(now.state, state)
            self._update(now, state=str(state), ended_at=now.writing.now, summary=kept, question=None, wake_at=None,
                         node=None)  # fmt: skip
            self._log(now, "run.ended", state=str(state), was=str(now.state), summary=kept)
            mine = sa.select(locks.c.key).where(locks.c.run == self.run).order_by(locks.c.key)
            freed = now.connection.execute(mine).scalars().all()
            if freed:
                now.connection.execute(locks.delete().where(locks.c.run == self.run))
                self._log(now, "lock.freed", keys=list(freed))
                unpark_waiters(now.connection, set(freed))
