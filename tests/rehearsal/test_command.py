"""``hisauto rehearse``, as one types it: on a runbook and a file of tests, without a site."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUNBOOK = """\
runbook: restart
version: 1.0.0
title: Restart
kind: emergency
owner: ops
on_failure: rollback
steps:
  - name: Out of service
    hosts: lb
    command: lb drain
    done_when: {command: lb show, expect: stdout == 'drained'}
    undo: {command: lb ready, idempotent: true}
  - name: Restart
    hosts: app
    command: app restart
    retries: 1
verify:
  - {name: It serves, hosts: app, command: app status}
"""
TESTS = """\
hosts: {app: [app1], lb: [lb1]}
state: {app1: {serves: false}, lb1: {drained: false}}
answers:
  - {command: lb show, says: {stdout: "{{ 'drained' if here.drained else 'ready' }}"}}
  - {command: app status, says: {rc: "{{ 0 if here.serves else 1 }}"}}
effects:
  - {command: lb drain, then: {here.drained: true}}
  - {command: lb ready, then: {here.drained: false}}
  - {command: app restart, then: {here.serves: true}}
stays: {app1.serves: nobody takes back a restart}
tests:
  - test: it does not serve
"""


def rehearse(folder: Path, *words: str, runbook: str = RUNBOOK, tests: str = TESTS) -> subprocess.CompletedProcess[str]:
    (folder / "restart.yml").write_text(runbook)
    (folder / "restart.tests.yml").write_text(tests)
    command = [sys.executable, "-m", "hisauto", "rehearse", "restart.yml", "--bound", "1", *words]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=110)


def test_it_tells_what_an_engineer_would_not_see(tmp_path: Path) -> None:
    """A restart that fails and yet took effect is tried again: that is twice."""
    done = rehearse(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "an effect twice: Restart (2[app1]) took effect 2 times, and is not idempotent" in done.stdout
    assert "*** Restart [app1]: fails, yet takes effect" in done.stdout
    cured = rehearse(tmp_path, "--json", runbook=RUNBOOK.replace("retries: 1", "idempotent: true\n    retries: 1"))
    assert cured.returncode == 0, cured.stdout
    (found,) = json.loads(cured.stdout)
    assert found["counterexamples"] == [] and found["single_faults"]["played"] == found["single_faults"]["of"] > 50
    assert any(row["ends"] == ["rolled_back"] and row["undone"] == ["Out of service (lb1)"] for row in found["rows"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "  - {command: app status",
            "  - {command: app stat",
            "answers this look: command: app status (at app1)",
        ),
        (
            "  - {command: app restart",
            "  - {command: app start",
            "says what this changes: command: app restart",
        ),
        ("here.serves else", "here.service else", "here.service is undefined"),
    ],
)
def test_what_no_fact_says_is_never_true(tmp_path: Path, old: str, new: str, said: str) -> None:
    done = rehearse(tmp_path, "--schedules", "1", tests=TESTS.replace(old, new))
    assert done.returncode == 1
    assert said in done.stdout.replace("\n", " ")


def test_a_runbook_without_tests_is_said(tmp_path: Path) -> None:
    (tmp_path / "alone.yml").write_text(RUNBOOK.replace("restart", "alone", 1))
    command = [sys.executable, "-m", "hisauto", "rehearse", "alone.yml"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there are no tests for alone: no file alone.tests.yml")
