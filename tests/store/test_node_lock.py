"""One node to a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hisauto.errors import Refused
from hisauto.store.node_lock import node_lock

HOLD = (
    "import sys, pathlib\nfrom hisauto.store.node_lock import node_lock\n"
    "with node_lock(pathlib.Path(sys.argv[1])):\n print('held', flush=True)\n sys.stdin.read()"
)


def test_a_second_node_is_told_who_the_first_is(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with (
        node_lock(state),
        pytest.raises(Refused, match=f"{state}: process {os.getpid()}$"),
        node_lock(state),
    ):
        pass
    with node_lock(state):
        assert (state / "node.lock").stat().st_mode & 0o777 == 0o600
    with node_lock(tmp_path / "another"):
        pass


def test_kill_frees_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match=f"process {holder.pid}$"), node_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with node_lock(tmp_path):
            pass


def test_children_do_not_hold_it(tmp_path: Path) -> None:
    with node_lock(tmp_path):
        child = subprocess.Popen(["cat"], stdin=-1, close_fds=False)
    try:
        with node_lock(tmp_path):
            pass
    finally:
        child.communicate()
