"""The demo as ``make demo`` starts it, unattended: after one that was killed, to its end; and interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab
from lab import layout, proc
from lab.demo import MADE_OF
from lab.layout import Kind

from .. import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
ENVIRONMENT = {
    **os.environ,
    "CI": "true",
    "PYTHONUNBUFFERED": "1",
    "HISAUTO_DATABASE_URL": "sqlite:////nonexistent/real.db",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    labs.skip_unless_possible()
    yield tmp_path / "demo"
    proc.sweep(tmp_path / "demo")
    lab.down(tmp_path / "demo", purge=True)


def start(folder: Path, kind: Kind = "processes") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo", "--site", str(folder)], cwd=labs.REPOSITORY, text=True,
        env={**ENVIRONMENT, "HISAUTO_LAB": kind}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def read_to(demo: subprocess.Popen[str], words: str) -> str:
    """What it says up to the line with these words."""
    assert demo.stdout
    said = ""
    for line in demo.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said '{words}':\n{said}")


def nothing_runs(folder: Path) -> bool:
    return not proc.strays(folder) and not proc.strays(layout.folder_of(folder))


@pytest.mark.parametrize("kind", ["processes", "machines"])
def test_to_its_end_after_one_that_was_killed(folder: Path, kind: Kind) -> None:
    labs.skip_unless_possible(kind)
    with start(folder, kind) as killed:
        read_to(killed, "it waits: Promote db2")
        killed.send_signal(signal.SIGKILL)
    assert proc.strays(folder), "its node should have outlived it"
    assert proc.strays(layout.folder_of(folder)), "and its lab"
    with start(folder, kind) as demo:
        said, _ = demo.communicate()
    assert demo.returncode == 0, said
    assert f"Its hosts are {MADE_OF[kind]}" in said
    result = said.partition("Result")[2]
    assert result.count(" kept ") == 9 and "NOT KEPT" not in result, said
    for line in (
        r"RTO: power cut to verified +300\.0 s +\d+\.\d s",
        r"RPO: data lost +0\.0 s +0\.0 s",
        r"writes lost +0 of [1-9]\d* +0 ",
        r"registrations lost +0 of [1-9]\d* +0 ",
        r"hosts that take writes +one at a time +db1 then db2; at once: 0 times",
        r"old primary +a standby again +standby, run succeeded",
        r"audit log +every entry holds +verified",
    ):
        assert re.search(line, result), line
    assert "\x1b" not in said, "no colour off a terminal"
    assert nothing_runs(folder)


def test_interrupted_it_leaves_nothing(folder: Path) -> None:
    with start(folder) as demo:
        read_to(demo, "registration desk")
        demo.send_signal(signal.SIGINT)
        said, _ = demo.communicate()
    assert demo.returncode == 130, said
    assert "The lab is down" in said
    assert nothing_runs(folder)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    labs.skip_unless_possible()
    (tmp_path / "mine").write_text("mine")
    with start(tmp_path) as demo:
        said, _ = demo.communicate()
    assert demo.returncode == 1
    assert "is not empty, and no demo's folder" in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
