"""Holds the servers: ``keeper.py CONFIG...`` starts an sshd for each, reaps orphans, ends all when its input ends.

It is the reaper below the benchmark's own, so that the time of a shell that outlives its connection is the servers'.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

SUBREAPER = 36


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def reap(servers: set[int]) -> None:
    """Everything that has ended; a server that has ended is a failure."""
    with contextlib.suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            if pid in servers:
                raise SystemExit("a server ended by itself")


def main(configs: list[str]) -> None:
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    servers = {
        subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], stdin=subprocess.DEVNULL).pid
        for config in configs
    }
    try:
        while not select.select([sys.stdin], [], [], 0.05)[0]:
            reap(servers)
    finally:
        while left := children():  # what is killed hands its own children on to us
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
