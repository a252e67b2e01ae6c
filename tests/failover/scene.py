"""A failover as people do it: a real node process, signed requests and answers, load and a watcher beside it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner

import lab
from hisauto.app import App
from hisauto.cli.nodes import LOG, Keeper, is_working
from hisauto.cli.root import cli
from hisauto.model.run import Attempt, AttemptState, RunView
from lab import watcher, writer
from lab.layout import Kind, Replication

from .. import labs
from ..labs import Hospital
from . import variants

TORTURE = bool(os.environ.get("HISAUTO_TORTURE"))
PATIENCE = 90.0
"""Seconds until a run has to be where it is awaited; a failover takes ten on a quiet machine."""


@dataclass
class Load:
    """A write load through the proxy with its ledger, and who was seen to accept writes."""

    ledger: Path
    record: Path

    @property
    def acknowledged(self) -> int:
        return writer.summary(self.ledger).acknowledged

    @property
    def gap(self) -> float:
        """The longest time without an acknowledged write, in seconds."""
        return writer.summary(self.ledger).longest_gap

    def reigned_after(self, moment: float) -> set[str]:
        """Hosts that accepted a write after a moment of the wall clock."""
        return {reign.host for reign in watcher.reigns(self.record) if reign.end > moment}


class Scene:
    """A site with its lab, whoever acts in it, and what can be seen of it."""

    def __init__(self, hospital: Hospital, kind: Kind = "processes") -> None:
        self.hospital, self.site, self.kind = hospital, hospital.site, kind
        self.app = App(self.site)
        self.keeper = Keeper(self.app)

    # ---------------------------------------------------------------- before and after
    def fresh(self, replication: Replication = "sync", *, rebuilt: bool = True) -> None:
        """A record without open runs, nothing cached, and a healthy lab: in its initial state, or as it is."""
        lab.up(self.site, kind=self.kind, fresh=rebuilt, replication=replication)
        if self.app.store.open():
            self.end_node()
            self.close()
            for path in (*self.state.glob("hisauto.db*"), *self.state.glob("audit/*")):
                path.unlink()
        self.reopen()

    def reopen(self) -> None:
        """See the site's files as they are now."""
        self.close()
        self.app = App(self.site)
        self.keeper = Keeper(self.app)

    @contextlib.contextmanager
    def changed(self, host: str, **variables: Any) -> Iterator[None]:
        """Other variables in the inventory for a host."""
        path = self.site / f"inventory/host_vars/{host}/then.yml"  # after lab.yml, so it wins
        path.write_text(json.dumps(variables))
        self.reopen()
        try:
            yield
        finally:
            path.unlink()
            self.reopen()

    def close(self) -> None:
        if "transports" in self.app.__dict__:
            for transport in self.app.transports.values():
                transport.close()
        if "store" in self.app.__dict__:
            self.app.store.close()

    @property
    def state(self) -> Path:
        return self.site / ".hisauto"

    def node(self) -> int | None:
        """The process that works on runs here."""
        return int((self.state / "node.lock").read_text()) if is_working(self.state) else None

    def end_node(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Signal the node, if there is one, and wait for its end."""
        if (pid := self.node()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            labs.until(lambda: not is_working(self.state))

    # ---------------------------------------------------------------- acting
    def ask(
        self, runbook: str, params: Mapping[str, str] | None = None, *, since: float | None = None, ready: bool = True
    ) -> str:
        """Plan and request as operator-1; ``since``: when the fault was reported. The run's id."""
        self.keeper.look()
        planned = self.app.plan(runbook, params or {})
        assert planned.ready is ready, planned.guards
        by = self.app.signer("operator-1", self._key("operator-1"))
        reported = datetime.fromtimestamp(since, UTC) if since is not None else None
        return self.app.request(planned, by, reason="a test", reported_at=reported).id

    def answer(self, run: str, answer: str, *people: str) -> None:
        """Answer what the run waits for."""
        view = self.app.store.view(run)
        assert view.question is not None, self.story(run)
        for person in people:
            assert self.app.answer(view, view.question, answer, self.app.signer(person, self._key(person)))
        if view.question["kind"] != "gate":
            self._asks_no_more(run, view.question["id"])

    def cancel(self, run: str, person: str = "duty-1") -> None:
        self.app.cancel(self.app.store.view(run), self.app.signer(person, self._key(person)), "a test")

    def approved(
        self, runbook: str, *people: str, params: Mapping[str, str] | None = None, since: float | None = None
    ) -> str:
        """A run past its first gate."""
        run = self.ask(runbook, params, since=since)
        self.waits(run, "gate")
        self.answer(run, "yes", *(people or ("dba-1", "duty-1")))
        return run

    def _key(self, person: str) -> Path:
        return Path(self.hospital.facts["keys"][person])

    # ---------------------------------------------------------------- waiting
    def until(self, run: str, holds: Callable[[RunView], bool], seconds: float = PATIENCE) -> RunView:
        """The run once it is so; a node that died is started again, as everybody who watches a run does."""
        deadline = time.monotonic() + seconds
        while not holds(view := self.app.store.view(run)):
            assert time.monotonic() < deadline, self.story(run)
            assert self.keeper.look(), self.story(run)
            time.sleep(0.05)
        return view

    def waits(self, run: str, kind: str) -> dict[str, Any]:
        """The question it waits with; fails if it ends before."""
        view = self.until(run, lambda v: v.state.ended or (v.question or {}).get("kind") == kind)
        assert view.question is not None and view.question["kind"] == kind, self.story(run)
        return dict(view.question)

    def _asks_no_more(self, run: str, question: str) -> RunView:
        """The run once it has gone on from a question."""
        return self.until(run, lambda v: v.state.ended or (v.question or {}).get("id") != question)

    def ended(self, run: str) -> RunView:
        """The run at its end, or where it asks whether something happened or how to go on."""
        return self.until(run, lambda v: v.state.ended or (v.question or {}).get("kind") in ("in_doubt", "ask"))

    def succeeded(self, run: str) -> RunView:
        view = self.ended(run)
        assert view.state == "succeeded", self.story(run)
        return view

    def attempts(self, run: str, name: str = "") -> list[Attempt]:
        return [a for a in self.app.store.attempts(run) if name in a.name]

    def begun(self, run: str, name: str) -> bool:
        return bool(self.attempts(run, name))

    def story(self, run: str) -> str:
        """What is on record of a run, for whoever reads a failed test."""
        view = self.app.store.view(run)
        lines = [f"{run} {view.state} epoch {view.epoch}: {json.dumps(view.summary)} {json.dumps(view.question)}"]
        lines += [f"  {a.id} {a.name} @{a.host} {a.state} {a.result.get('why', '')}" for a in self.attempts(run)]
        log = self.state / LOG
        return "\n".join([*lines, *(log.read_text().splitlines()[-30:] if log.exists() else [])])

    # ---------------------------------------------------------------- seeing
    @contextlib.contextmanager
    def load(self, folder: Path, rate: float = 40.0) -> Iterator[Load]:
        """Writes through the proxy, and the watcher, for as long as the block lasts."""
        found, facts = Load(folder / "ledger", folder / "watch"), self.hospital.facts
        machines = self.hospital.folder if self.kind == "machines" else None
        watching = watcher.start(facts["watch"], found.record, machines)
        try:
            writing = writer.start(facts["dsn"]["proxy"], found.ledger, rate)
            try:
                labs.until(lambda: found.acknowledged > 10)
                yield found
            finally:
                writer.stop(writing)
        finally:
            watcher.stop(watching)

    def lost(self, load: Load) -> list[int]:
        """Acknowledged writes that are not there."""
        return writer.losses(load.ledger, self.hospital.facts["dsn"]["proxy"])

    def registers(self) -> bool:
        """Whether a registration can be made through the proxy."""
        url = self.hospital.facts["urls"]["registration"] + "/api/registrations"
        body = json.dumps({"patient": "p", "department": "d"}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=8) as said:
            return bool(said.status == 201)

    def backend(self) -> str:
        """The database host that the proxy really uses."""
        return self.hospital.on("lb1", "lb server his_db").split()[0]

    def timeline(self, host: str) -> int:
        """1 from the beginning, one more after each promotion."""
        with psycopg.connect(self.hospital.facts["dsn"][host], connect_timeout=5) as connection:
            row = connection.execute("select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)").fetchone()
        assert row is not None
        return int(row[0], 16)

    def nothing_left_behind(self, run: str) -> None:
        """No lock is held, no attempt is open, and the log proves itself."""
        self.until(run, lambda v: v.state.ended)
        assert self.app.store.locks() == []
        assert not [a for a in self.attempts(run) if a.state is AttemptState.started], self.story(run)
        labs.until(self._verifies)

    def _verifies(self) -> bool:
        """A node publishes just after a run's end: one that is still at it has more entries than checkpoints."""
        said = CliRunner().invoke(cli, ["--site", str(self.site), "audit", "verify"])
        assert said.exit_code == 0, said.output
        return True


def started(attempts: Sequence[Attempt]) -> list[str]:
    """Those that may have changed something, as ``name@host``."""
    return [
        f"{a.name}@{a.host}"
        for a in attempts
        if a.state not in (AttemptState.already, AttemptState.skipped)
        and a.intent.get("sent", True)
        and not a.result.get("never_started")
    ]


@contextlib.contextmanager
def scene(target: Path) -> Iterator[Scene]:
    """A site with its lab, both gone afterwards."""
    with labs.hospital(target) as hospital:
        variants.add(hospital.site)
        with on(hospital) as found:
            yield found
            shutil.rmtree(found.state, ignore_errors=True)


@contextlib.contextmanager
def on(hospital: Hospital, kind: Kind = "processes") -> Iterator[Scene]:
    """Whoever acts in a lab that stands; no node of theirs works afterwards."""
    found = Scene(hospital, kind)
    try:
        yield found
    finally:
        found.end_node()
        found.close()
