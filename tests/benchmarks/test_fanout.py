"""The benchmark can still be run: two hosts, two commands, and the clients that need nothing installed."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fanout import page, peers

ROOT = Path(__file__).parents[2]


def test_smoke() -> None:
    users = {entry.pw_name for entry in pwd.getpwall()}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fanout", "--shape", "2x2", "--rounds", "1", "--keep",
         "--only", "hisauto+OpenSSH", "--limit", "60"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for client in ("probes", "acts", "run of looks", "run of changes"):
        assert f"| hisauto, {client} |" in done.stdout
    assert "| OpenSSH ControlMaster |" in done.stdout
    assert {entry.pw_name for entry in pwd.getpwall()} == users


def took(wall: float) -> list[dict[str, float]]:
    return [{"wall": wall * n, "client_cpu": 1.0, "server_cpu": 1.0, "memory": 1.0} for n in (1, 1.5, 0.5)]


@pytest.mark.parametrize(("ansible", "reached"), [(40.0, True), (39.0, False)])
def test_goals_are_ratios_of_medians(ansible: float, reached: bool) -> None:
    clients = {peers.ANSIBLE: took(ansible), peers.LOOKS: took(1.0)}
    (goal,) = page.goals({page.MIDDLE: {"clients": clients}})
    assert (goal.measured, goal.reached) == (ansible, reached)


def test_the_page_has_its_place() -> None:
    text = page.PAGE.read_text()
    assert text.index(page.BEGIN) < text.index(page.END)
