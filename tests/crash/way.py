"""The way of one run through its lives and deaths, with people who answer, and the laws that hold at its end."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hisauto.audit.verify import verify_entries
from hisauto.cli.auditing import read_published
from hisauto.model.run import AttemptState, RunView
from hisauto.store.store import Store
from hisauto.testing.served import FarClock, Remote
from hisauto.testing.stage import Stage

from .lives import Life, effect_is_there, live, node_key, snapshot
from .nursery import Nursery
from .scenarios import Scenario

LIVES = 40
"""More than any run needs."""
LOOKED = "look"
"""The attempt under which a canary is on a world's record: it keeps no receipt and may come again."""
Death = tuple[int, signal.Signals]
"""At which boundary of a life, and of what: SIGKILL, or SIGSTOP until somebody else has gone on."""
Deaths = Mapping[int, Death]
"""By the number of the life, from 1; one that isn't there ends by itself."""


@dataclass
class Trial:
    """What came of one run."""

    deaths: Deaths
    lives: list[list[str]] = field(default_factory=list)
    """The boundaries that each came to, in order."""
    in_doubt: int = 0
    """How often nobody could tell."""
    wrong: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def died(self) -> int:
        """How many deaths there were: a life may end before its own."""
        return sum(n <= len(self.lives) and len(self.lives[n - 1]) >= at for n, (at, _) in self.deaths.items())

    @property
    def story(self) -> str:
        """Where they died, and what is wrong with it."""
        died = [f"life {n} ({number.name}) {self.lives[n - 1][-1]}" for n, (_, number) in sorted(self.deaths.items())
                if n <= len(self.lives)]  # fmt: skip
        return "\n  ".join(["; ".join(died), *self.wrong])


class Way:
    """One trial under way."""

    def __init__(
        self, scenario: Scenario, nursery: Nursery, trial: Trial, store: Store, remote: Remote, run: str, life: Life
    ) -> None:
        """``life``: of what each one is made."""
        self.scenario, self.nursery, self.trial, self.store, self.remote = scenario, nursery, trial, store, remote
        self.run, self.life = run, life
        clock = FarClock(remote)
        self.stage = Stage(store, scenario.world(clock), clock)
        self.stopped: list[tuple[int, Life]] = []

    def go(self, undisturbed: Mapping[str, Any] | None) -> None:
        """To the end, and then judge it."""
        try:
            while not (view := self.store.view(self.run)).state.ended and len(self.trial.lives) < LIVES:
                if self.run in self.store.awake():
                    self._live()
                else:
                    self._turn(view)
            while self.stopped:
                self._wake()
            self._judge(undisturbed)
        except AssertionError as error:
            self.trial.wrong.append(str(error))
            while self.stopped:
                self.nursery.signal(self.stopped.pop()[0], signal.SIGKILL)

    # ---------------------------------------------------------------- lives
    def _live(self) -> None:
        number = len(self.trial.lives) + 1
        at, how = self.trial.deaths.get(number, (0, signal.SIGKILL))
        told = self.life.folder / f"life-{number}"
        life = Life(**{**vars(self.life), "name": f"node-{number}", "told": told, "at": at, "signal": int(how)})
        pid = self.nursery.fork(live, life)
        ended = self.nursery.wait(pid)
        self.trial.lives.append(boundaries(told))
        if ended is None:
            self.stopped.append((pid, life))
            if len(self.stopped) > 1:  # the one before wakes in the middle of this one's work
                self._wake()
                self._wake()
        else:
            self._ended(life, ended)

    def _wake(self) -> None:
        """Let the one that was stopped first go on. If somebody else has driven the run since, it does nothing."""
        pid, life = self.stopped.pop(0)
        late, before = self._superseded(life), self._seen()
        # What it had put on record it may begin still, at a host to which its successor hasn't come yet.
        meant = {(a.host, a.id) for a in self.store.attempts(self.run) if a.state is AttemptState.started}
        self.nursery.signal(pid, signal.SIGCONT)
        ended = self.nursery.wait(pid)
        self._ended(life, ended)
        after = self._seen()
        did = after[0] != before[0] or not {(host, act) for host, act, _ in after[1][len(before[1]) :]} <= meant
        assert not (late and did), f"{life.name} woke up, superseded, and did: {before} → {after}"

    def _ended(self, life: Life, ended: int | None) -> None:
        deadly = -int(signal.SIGKILL)
        assert ended in ((0, deadly) if life.signal == -deadly and life.at else (0,)), f"{life.name} ended with {ended}"

    def _superseded(self, life: Life) -> bool:
        """Whether it was driving, and somebody else is now."""
        drivers = [entry.actor for entry in self.store.entries(run=self.run) if entry.kind == "drive.claimed"]
        return life.name in drivers and drivers[-1] != life.name

    def _seen(self) -> tuple[int, list[tuple[str, str, dict[str, Any]]]]:
        """How many entries the log has, and which acts there were. A canary is a look, and looks are free."""
        return self.store.head().size, self._acts(self.remote.call(snapshot))

    @staticmethod
    def _acts(seen: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
        return [act for act in seen["acts"] if act[1] != LOOKED]

    # ---------------------------------------------------------------- people
    def _turn(self, view: RunView) -> None:
        for question in view.questions:
            if question["kind"] == "broken":
                # A stopped one's transaction is ended by the database, and so is what it would have written next.
                assert any(how is signal.SIGSTOP for _, how in self.trial.deaths.values()), question["why"]
                self._sleep(view)
            elif question["kind"] == "in_doubt":
                self._find_out(question)
            elif answers := [said for begin, said in self.scenario.says.items() if question["id"].startswith(begin)]:
                for person, answer in answers[0]:
                    word, _, evidence = answer.partition(" with ")
                    self.stage.say(self.run, person, word, at=question["id"], evidence=evidence)
            else:
                self._sleep(view)

    def _sleep(self, view: RunView) -> None:
        assert view.wake_at is not None, f"it waits for ever: {view.question}"
        clock = self.stage.clock
        clock.sleep(max(0.0, (view.wake_at - clock.now()).total_seconds()))
        self.store.wake_due(clock.now())

    def _find_out(self, question: Mapping[str, Any]) -> None:
        """It is really so that nobody can tell; somebody goes and looks."""
        self.trial.in_doubt += 1
        host, attempt = str(question["host"]), str(question["step"])
        kept = self.remote.call(snapshot)["receipts"][host]
        assert not kept, f"{attempt} is in doubt, and {host} keeps receipts: {question['why']}"
        there = self.remote.call(effect_is_there, host, attempt)
        self.stage.say(self.run, "dba-1", "done" if there else "again", at=question["id"])

    # ---------------------------------------------------------------- laws
    def _judge(self, undisturbed: Mapping[str, Any] | None) -> None:
        wrong, view = self.trial.wrong, self.store.view(self.run)
        seen = self.remote.call(snapshot)
        acts = self._acts(seen)
        twice = [f"{host} {attempt}" for (host, attempt), n in Counter(act[:2] for act in acts).items() if n > 1]
        wrong += [f"{act} was started twice" for act in twice]
        self.trial.result = found = {
            "end": str(view.state),
            "why": view.summary.get("why"),
            "left": view.summary.get("left"),
            "tolerated": view.summary.get("tolerated"),
            "state": seen["state"],
            "effects": sorted(f"{host} {json.dumps(values, sort_keys=True)}" for host, _, values in acts),
            "attempts": sorted(
                (a.id, str(a.state), a.host or "", a.result.get("outcome")) for a in self.store.attempts(self.run)
            ),
        }
        if undisturbed is not None:
            same = undisturbed.keys() - ({"attempts"} if self.trial.in_doubt else set())
            wrong += [f"{key}: {found[key]}, undisturbed: {undisturbed[key]}" for key in same
                      if found[key] != undisturbed[key]]  # fmt: skip
        wrong += [f"{lock.key} is still locked" for lock in self.store.locks()]
        wrong += [f"{a.id} is still started" for a in self.store.attempts(self.run) if a.state is AttemptState.started]
        ends = sum(entry.kind == "run.ended" for entry in self.store.entries(run=self.run))
        wrong += [f"it has ended {ends} times"] if ends != 1 else []
        self._verify()

    def _verify(self) -> None:
        published = self.life.folder / "checkpoints"
        report = verify_entries(
            self.store.raw_entries(),
            [stored.text for stored in self.store.checkpoints()],
            [node_key(self.life.folder).verifier],
            read_published(published) if published.exists() else [],
        )
        self.trial.wrong.extend(f"the log: {finding}" for finding in report.findings)


def boundaries(told: Path) -> list[str]:
    """Those that a life has written down."""
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
