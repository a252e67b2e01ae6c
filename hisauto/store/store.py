"""Everything on record but one run's driving: requests, decisions, wake-ups, locks, nodes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hisauto.errors import Broken, NotFound, Refused, Superseded, UsageError
from hisauto.model.journal import Claimed
from hisauto.model.run import REVIEW, Attempt, Decision, RunState, RunView
from hisauto.store.audit_log import AuditLog
from hisauto.store.comparison import Comparison
from hisauto.store.database import Writing
from hisauto.store.journal import StoreJournal
from hisauto.store.nodes import Nodes
from hisauto.store.rows import (
    VIEW,
    Lock,
    Output,
    Submission,
    Waiter,
    attempt_of,
    decision_of,
    decision_to_json,
    view_of,
)
from hisauto.store.schema import attempts, blobs, decisions, locks, memos, nodes, outputs, runbook_versions, runs
from hisauto.store.values import for_log, plain
from hisauto.store.wake import unpark

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # none that is misread or misheard for another
_LISTED = 10  # run ids in a message
_OPEN = runs.c.ended_at.is_(None)
_AWAKE = (
    sa.select(runs.c.id, runs.c.epoch, runs.c.node, nodes.c.beats)
    .select_from(runs.outerjoin(nodes, runs.c.node == nodes.c.id))
    .where(_OPEN, ~runs.c.parked)
    .order_by(runs.c.created_at, runs.c.id)
)


class Store(AuditLog, Nodes):
    """The database of a site. Thread-safe; every method is one transaction of its own."""

    @property
    def engine(self) -> sa.Engine:
        """To the database itself."""
        return self._database.engine

    def close(self) -> None:
        self._database.engine.dispose()

    def compared(self) -> Comparison:
        """The tables against the log."""
        return Comparison(self._database)

    # ---- a run comes to be

    def fresh_id(self) -> str:
        """An id for a run, ``r-20261123-k7f2``, that none has so far. It is signed before it is submitted."""
        day = self._database.clock.now().strftime("%Y%m%d")
        with self._database.read() as connection:
            while True:
                run = f"r-{day}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"
                if connection.execute(sa.select(runs.c.id).where(runs.c.id == run)).first() is None:
                    return run

    def submit(self, run: Submission) -> RunView:
        """Put a request on record and have it driven.

        Raises ``Refused`` if the id is taken, or the runbook's version is known with another content.
        """
        plan, request = plain(dict(run.plan)), plain(decision_to_json(run.request))
        with self._database.write() as writing:
            if writing.connection.execute(sa.select(runs.c.id).where(runs.c.id == run.id)).first():
                raise Refused(f"there is a run {run.id} already", hint="ask for it again")
            for part in dict.fromkeys([(run.runbook, run.version, run.source_digest), *run.parts]):
                _keep_version(writing.connection, *part)
            for content in run.blobs:
                _keep_blob(writing.connection, content)
            fields = {
                "runbook": run.runbook,
                "version": run.version,
                "digest": run.digest,
                "requester": run.request.person,
                "reason": run.request.reason,
                "incident": run.incident,
                "level": run.level,
            }
            writing.connection.execute(
                runs.insert().values(
                    **fields,
                    id=run.id,
                    plan=plan,
                    request=request,
                    state=str(RunState.queued),
                    epoch=0,
                    inbox=0,
                    parked=False,
                    created_at=writing.now,
                    reported_at=run.reported_at,
                    summary={},
                )
            )
            entry = {**fields, "reported_at": run.reported_at.isoformat(), "plan": for_log(plan), "request": request}
            writing.log("run.requested", run.id, run.request.person, entry)
        return self.view(run.id)

    def blob(self, sha256: str) -> bytes:
        """A pinned file. Raises ``NotFound``, and ``Broken`` if it is not what its digest says."""
        with self._database.read() as connection:
            content = connection.execute(sa.select(blobs.c.content).where(blobs.c.sha256 == sha256)).scalar()
        if content is None:
            raise NotFound(f"no file with the digest {sha256} is on record")
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Broken(f"the file on record under the digest {sha256} has another content")
        return bytes(content)

    # ---- a run is driven

    def claim(self, run: str, node: str, *, epoch: int | None = None) -> StoreJournal:
        """Drive a run from here on: every older journal of it is superseded.

        Raises ``NotFound``, and ``Superseded`` if the run has ended: there is nothing to drive; also if somebody has
        claimed it since ``epoch``, where that is given.
        """
        with self._database.write() as writing:
            state, before = _state(writing, run)
            if state.ended:
                raise Superseded(f"run {run} has ended ({state}): there is nothing to drive")
            if epoch not in (None, before):
                raise Superseded(f"run {run} has been claimed by another node")
            epoch = before + 1
            change = runs.update().where(runs.c.id == run).values(epoch=epoch, node=node, parked=False, wanted=None)
            writing.connection.execute(change)
            writing.log("drive.claimed", run, node, {"epoch": epoch, "node": node})
            return StoreJournal(self._database, writing.connection, run, epoch, node)

    def decide(self, run: str, decision: Decision) -> bool:
        """Put a decision on record and wake the run. False: this person had said the same already.

        Raises ``NotFound``, and ``Refused`` if the run has ended or the person has said something else.
        """
        mine = (decisions.c.run == run) & (decisions.c.question == decision.question)
        with self._database.write() as writing:
            state, _ = _state(writing, run)
            query = sa.select(decisions.c.answer, decisions.c.break_glass).where(mine)
            before = writing.connection.execute(query.where(decisions.c.person == decision.person)).first()
            if before is not None and tuple(before) == (decision.answer, decision.break_glass):
                return False
            if before is not None:
                raise Refused(
                    f"{decision.person} has answered {decision.question} of run {run} already: {before.answer}",
                    hint="a decision can't be taken back; to stop the run, cancel it",
                )
            review = decision.question.startswith(REVIEW)
            if state.ended and not review:
                raise Refused(f"run {run} has ended ({state}): there is nothing left to decide")
            values = {**vars(decision), "card": plain(dict(decision.card))}
            writing.connection.execute(decisions.insert().values(run=run, **values))
            writing.log("decision", run, decision.person, plain(decision_to_json(decision)))
            if not review:  # nothing waits for one
                writing.connection.execute(runs.update().where(runs.c.id == run).values(inbox=runs.c.inbox + 1))
                unpark(writing.connection, run)
            return True

    def enter(self, kind: str, person: str, data: Mapping[str, Any]) -> None:
        """Put a person's word into the log that is about no run."""
        with self._database.write() as writing:
            writing.log(kind, None, person, data)

    def wake_due(self, now: datetime) -> list[str]:
        """Wake every parked run whose time has come, each in a transaction of its own; the runs woken."""
        due = sa.select(runs.c.id).where(_OPEN, runs.c.parked, runs.c.wake_at <= now).order_by(runs.c.wake_at)
        with self._database.read() as connection:
            found = connection.execute(due).scalars().all()
        woken = []
        for run in found:
            with self._database.write() as writing:
                if writing.connection.execute(due.where(runs.c.id == run)).first():
                    unpark(writing.connection, run)
                    woken.append(run)
        return woken

    def awake(self) -> dict[str, Claimed]:
        """Runs that somebody should be driving, neither ended nor parked, the oldest first; who has claimed them."""
        with self._database.read() as connection:
            return {row.id: Claimed(row.epoch, row.node, row.beats) for row in connection.execute(_AWAKE)}

    def open(self) -> bool:
        """Whether any run has not ended yet."""
        with self._database.read() as connection:
            return connection.execute(sa.select(runs.c.id).where(_OPEN).limit(1)).first() is not None

    # ---- looking

    def view(self, run: str) -> RunView:
        """Raises ``NotFound``."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(*VIEW).where(runs.c.id == run)).first()
        if row is None:
            raise NotFound(f"there is no run {run}", hint="hisauto runs")
        return view_of(row)

    def plan(self, run: str) -> dict[str, Any]:
        """The frozen plan, as it was digested. Raises ``NotFound``."""
        with self._database.read() as connection:
            stored: dict[str, Any] | None = connection.execute(sa.select(runs.c.plan).where(runs.c.id == run)).scalar()
        if stored is None:
            raise NotFound(f"there is no run {run}", hint="hisauto runs")
        return stored

    def runs(
        self, *, states: Collection[RunState] | None = None, runbook: str | None = None, limit: int = 50
    ) -> list[RunView]:
        """The newest first."""
        query = sa.select(*VIEW).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        if states is not None:
            query = query.where(runs.c.state.in_([str(state) for state in states]))
        if runbook is not None:
            query = query.where(runs.c.runbook == runbook)
        with self._database.read() as connection:
            return [view_of(row) for row in connection.execute(query)]

    def find_run(self, part: str) -> RunView:
        """The run with this id, or the only one whose id begins or ends so. Raises ``NotFound``, ``UsageError``."""
        exact = sa.select(*VIEW).where(runs.c.id == part)
        like = runs.c.id.startswith(part, autoescape=True) | runs.c.id.endswith(part, autoescape=True)
        with self._database.read() as connection:
            found = connection.execute(exact).all()
            if not found and part:
                found = connection.execute(sa.select(*VIEW).where(like).order_by(runs.c.id).limit(_LISTED + 1)).all()
        if not found:
            raise NotFound(f"there is no run {part}", hint="hisauto runs")
        if len(found) > 1:
            names = ", ".join(row.id for row in found[:_LISTED]) + (", …" if len(found) > _LISTED else "")
            raise UsageError(f"{part} can be several runs: {names}", hint="give more of the id")
        return view_of(found[0])

    def attempts(self, run: str) -> list[Attempt]:
        """In the order in which they were journaled first."""
        mine = [column for column in attempts.c if column.name != "run"]
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*mine).where(attempts.c.run == run).order_by(attempts.c.seq))
            return [attempt_of(row) for row in rows]

    def outputs(self, run: str, after_seq: int = 0) -> list[Output]:
        """Live output that came after the piece ``after_seq``."""
        columns = (outputs.c.seq, outputs.c.attempt, outputs.c.stream, outputs.c.text)
        query = sa.select(*columns).where(outputs.c.run == run, outputs.c.seq > after_seq).order_by(outputs.c.seq)
        with self._database.read() as connection:
            return [Output(*row) for row in connection.execute(query)]

    def decisions(self, run: str) -> list[Decision]:
        mine = [column for column in decisions.c if column.name != "run"]
        query = sa.select(*mine).where(decisions.c.run == run).order_by(decisions.c.at, decisions.c.person)
        with self._database.read() as connection:
            return [decision_of(row) for row in connection.execute(query)]

    def noted(self, prefix: str, run: str | None = None) -> list[tuple[str, str, Any]]:
        """What drives noted under keys that begin so, of one run or of all: run, key, value."""
        begins = memos.c.key.startswith(prefix, autoescape=True)
        query = sa.select(memos.c.run, memos.c.key, memos.c.value).where(begins)
        with self._database.read() as connection:
            rows = connection.execute(query.where(memos.c.run == run) if run is not None else query)
            return [(row.run, row.key, row.value) for row in rows]

    def locks(self) -> list[Lock]:
        """Who holds what, by key, and who waits for it."""
        columns = (locks.c.key, locks.c.run, locks.c.since, runs.c.node)
        held = sa.select(*columns).join(runs, runs.c.id == locks.c.run).order_by(locks.c.key)
        wants = sa.select(runs.c.id, runs.c.wanted_since, runs.c.wanted).where(
            _OPEN, runs.c.parked, runs.c.wanted.is_not(None)
        )
        with self._database.read() as connection:
            waiting = connection.execute(wants.order_by(runs.c.wanted_since, runs.c.id)).all()
            return [
                Lock(*row, tuple(Waiter(each.id, each.wanted_since) for each in waiting if row.key in each.wanted))
                for row in connection.execute(held)
            ]


def _state(writing: Writing, run: str) -> tuple[RunState, int]:
    row = writing.connection.execute(sa.select(runs.c.state, runs.c.epoch).where(runs.c.id == run)).first()
    if row is None:
        raise NotFound(f"there is no run {run}", hint="hisauto runs")
    return RunState(row.state), row.epoch


def _keep_version(connection: sa.Connection, name: str, version: str, digest: str) -> None:
    table = runbook_versions
    key = (table.c.name == name) & (table.c.version == version)
    known = connection.execute(sa.select(table.c.digest).where(key)).scalar()
    if known is None:
        connection.execute(table.insert().values(name=name, version=version, digest=digest))
    elif known != digest:
        raise Refused(
            f"{name} {version} is on record with the content {known}, and this one is {digest}",
            hint="give the changed runbook a new version",
        )


def _keep_blob(connection: sa.Connection, content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    if connection.execute(sa.select(blobs.c.sha256).where(blobs.c.sha256 == sha256)).first() is None:
        connection.execute(blobs.insert().values(sha256=sha256, content=content))
