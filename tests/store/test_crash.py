"""kill -9 before any statement of a transaction, and before its commit: all of it is there, or nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hisauto.model.run import AttemptState
from hisauto.store.store import Store

from .crashing import DEEDS
from .runs import log, requested, rows

TORTURE = os.environ.get("HISAUTO_TORTURE") == "1"
KILLS = 60 if TORTURE else 3


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "store.crashing", *arguments]
    return subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1, cwd=Path(__file__).parents[1])


@pytest.mark.parametrize(
    ("url", "deed"),
    [*(("sqlite", deed) for deed in DEEDS), *(("postgresql", deed) for deed in ("submit", "record", "end"))],
    indirect=["url"],
)
def test_a_change_that_is_killed_leaves_nothing(store: Store, url: str, deed: str) -> None:
    run, chance = requested(store), random.Random(deed)
    with _start(url, deed, run) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        deadly, survived = 0, False
        while not survived:
            deadly += 1
            if not TORTURE and chance.random() < 0.5:
                continue
            process.stdin.write(f"{deadly}\n")
            assert process.stdout.readline() == "ready\n"
            before = rows(store)
            process.stdin.write("go\n")
            how = int(process.stdout.readline())
            assert how in (-signal.SIGKILL, 0)
            survived = how == 0
            assert (rows(store) == before) is not survived, f"killed before statement {deadly}"
            log(store)
        process.stdin.close()
    # It began, read the head and the run, wrote, logged, moved the head and committed, at the least.
    assert deadly > 6


def test_kill_at_any_moment_loses_nothing_that_was_said_to_be_durable(store: Store, url: str) -> None:
    run, chance = requested(store), random.Random(20261123)
    said: dict[str, str] = {}
    for _ in range(KILLS):
        with _start(url, "work", run) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 40)):
                number, state = process.stdout.readline().split()
                said[number] = state
            threading.Timer(chance.uniform(0, 0.01), process.kill).start()
            for line in process.stdout:
                number, state = line.split()
                said[number] = state
        stored = {attempt.path: str(attempt.state) for attempt in store.attempts(run)}
        logged: dict[str, str] = {}
        for entry in log(store, run):
            if entry.kind.startswith("attempt."):
                assert (entry.data["path"] in logged) == (entry.data["state"] == AttemptState.done)
                logged[entry.data["path"]] = entry.data["state"]
        assert stored == logged
        # The last change may have become durable without its word getting out.
        assert sum(stored.get(number) != state for number, state in said.items()) <= 1
        assert all(stored.get(number) in (state, AttemptState.done) for number, state in said.items())
        said = stored
