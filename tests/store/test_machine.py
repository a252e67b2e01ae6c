"""Any way through a run's life, with deaths anywhere and older drivers that wake up, against a model of the truth."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hisauto.errors import Broken, Refused, Superseded
from hisauto.model.run import ATTEMPT_MOVES, ENDS, RUN_MOVES, AttemptState, RunState
from hisauto.store.engine import open_store
from hisauto.store.store import Store

from .runs import HeldClock, decision, log, requested, rows

PATHS = st.sampled_from(["1[a]", "2[a]", "2[b]!undo"])
STATES = st.sampled_from(list(RunState))
ATTEMPTS = st.sampled_from(list(AttemptState))
DEATH = st.booleans()
"""Whether the node dies just after this write was committed, and never hears of it."""


class Life(RuleBasedStateMachine):
    """One run on one database; what it must hold is ``state``, ``attempts``, ``notes`` and ``said``."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hisauto-life-"))
        self.clock = HeldClock()
        self.store = self._open()
        self.run = requested(self.store)
        self.state = RunState.queued
        self.attempts: dict[str, AttemptState] = {}
        self.notes: dict[str, int] = {}
        self.said: dict[str, str] = {}
        self.journal = self.store.claim(self.run, "node")
        self.old = [self.journal]
        self._claim()

    def _open(self) -> Store:
        opened = open_store(f"sqlite:///{self.folder}/hisauto.db", self.clock)

        @sa.event.listens_for(opened.engine, "connect")
        def hasten(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")  # that a commit lasts is shown elsewhere, and takes most time

        opened.engine.dispose()
        return opened

    def _claim(self) -> None:
        if self.state not in ENDS:
            self.old.append(self.journal)
            self.journal = self.store.claim(self.run, "node")

    def _survive(self, dies: bool) -> None:
        """After a death another process opens the database and drives the run on."""
        if dies:
            self.store.close()
            self.store = self._open()
            self.old.clear()
            self._claim_anew()

    def _claim_anew(self) -> None:
        if self.state in ENDS:
            with pytest.raises(Superseded):
                self.store.claim(self.run, "node")
        else:
            self.journal = self.store.claim(self.run, "node")

    @precondition(lambda self: self.state not in ENDS)
    @rule(to=STATES, dies=DEATH)
    def move(self, to: RunState, dies: bool) -> None:
        if to in ENDS or (to is not self.state and to not in RUN_MOVES[self.state]):
            with pytest.raises(Broken):
                self.journal.move(to)
        else:
            self.journal.move(to)
            self.state = to
        self._survive(dies)

    @precondition(lambda self: self.state not in ENDS)
    @rule(path=PATHS, to=ATTEMPTS, dies=DEATH)
    def record(self, path: str, to: AttemptState, dies: bool) -> None:
        if to in ATTEMPT_MOVES[self.attempts.get(path)]:
            self.journal.record(path, 1, to, name="step")
            self.attempts[path] = to
        else:
            with pytest.raises(Broken):
                self.journal.record(path, 1, to, name="step")
        self._survive(dies)

    @precondition(lambda self: self.state not in ENDS)
    @rule(key=st.sampled_from("abc"), value=st.integers(0, 9), dies=DEATH)
    def note(self, key: str, value: int, dies: bool) -> None:
        """What was noted first stays."""
        assert self.journal.note(key, value) == self.notes.setdefault(key, value)
        self._survive(dies)

    @rule(person=st.sampled_from(["dba-1", "dba-2"]), answer=st.sampled_from(["yes", "no"]), dies=DEATH)
    def decide(self, person: str, answer: str, dies: bool) -> None:
        word = decision(person, "gate:1", answer)
        before = self.said.get(person)
        if before == answer:
            assert not self.store.decide(self.run, word)
        elif before is not None or self.state in ENDS:
            with pytest.raises(Refused):
                self.store.decide(self.run, word)
        else:
            assert self.store.decide(self.run, word)
            self.said[person] = answer
        self._survive(dies)

    @precondition(lambda self: bool(RUN_MOVES[self.state] & ENDS))
    @rule(data=st.data(), dies=DEATH)
    def end(self, data: Any, dies: bool) -> None:
        to = data.draw(st.sampled_from(sorted(RUN_MOVES[self.state] & ENDS)))
        self.journal.end(to, {"why": "drawn"})
        self.state = to
        self._survive(dies)

    @rule()
    def another_drives_it(self) -> None:
        self._claim()

    @precondition(lambda self: self.old and self.old[-1].epoch < self.journal.epoch)
    @rule(to=ATTEMPTS, path=PATHS)
    def an_older_one_wakes_up(self, to: AttemptState, path: str) -> None:
        before = rows(self.store)
        with pytest.raises(Superseded):
            self.old[-1].record(path, 1, to)
        with pytest.raises(Superseded):
            self.old[-1].move(RunState.running)
        with pytest.raises(Superseded):
            self.old[-1].note("new", 1)
        assert rows(self.store) == before

    @invariant()
    def what_is_on_record_is_what_is_true(self) -> None:
        assert self.store.view(self.run).state == self.state
        assert {a.path: a.state for a in self.store.attempts(self.run)} == self.attempts
        assert {key: value for _, key, value in self.store.noted("", self.run)} == self.notes
        assert {d.person: d.answer for d in self.store.decisions(self.run)} == self.said

    def teardown(self) -> None:
        """The log is whole, and has every word and every move once."""
        entries = log(self.store, self.run)
        assert sum(entry.kind == "decision" for entry in entries) == len(self.said)
        assert sum(entry.kind == "run.ended" for entry in entries) == (self.state in ENDS)
        self.store.close()
        shutil.rmtree(self.folder)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=12, stateful_step_count=25)
