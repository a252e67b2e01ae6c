"""A node that is told to end does, wherever the signal finds it."""

from __future__ import annotations

import subprocess
import sys

import pytest

NODE = """
import logging, signal, sys
from unittest.mock import MagicMock
from hisauto.clock import SystemClock
from hisauto.engine.node import Node

logging.basicConfig()
runs = MagicMock()
runs.awake.return_value = {}
node = Node(runs, MagicMock(), lambda: None, SystemClock(), name="n-1", every=60)

def interrupted(now):
    with node.stopping._cond:  # where `wait` is, too, for an instant before and after it sleeps
        signal.raise_signal(signal.Signals[sys.argv[1]])

runs.wake_due.side_effect = interrupted
node.work()
runs.leave.assert_called_once_with("n-1")
"""


@pytest.mark.parametrize("told", ["SIGTERM", "SIGINT"])
def test_a_signal_in_mid_wait_is_heard(told: str) -> None:
    ended = subprocess.run([sys.executable, "-c", NODE, told], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
