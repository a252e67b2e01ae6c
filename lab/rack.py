"""The rack: parent of all supervisors. Killing it powers every host off.

It is a subreaper too: if a supervisor is killed, that host's orphans arrive here and die, instead of getting lost.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from lab import layout, proc, supervisor


def running(folder: Path) -> int | None:
    """The rack's process id. Looked up with its start time, so never a stranger that got the same number."""
    try:
        pid, born = (folder / "rack.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if proc.start_time(int(pid)) == born else None


def record(folder: Path) -> None:
    """Write pid and start time together, whole or not at all."""
    new = folder / "rack.pid.new"
    new.write_text(f"{os.getpid()} {proc.start_time(os.getpid())}")
    new.replace(folder / "rack.pid")


def _fork(lab: layout.Lab, name: str) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            supervisor.run(lab, name)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def _collect(hosts: set[int]) -> None:
    while hosts:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        hosts.discard(pid)


def main(folder: Path) -> None:
    """Fork the supervisors and watch over them until SIGTERM."""
    lab = layout.load(folder)
    if lab is None:
        sys.exit(f"no lab in {folder}")
    proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
    ending, news = threading.Event(), threading.Event()

    def hear(number: int, _: object) -> None:
        if number == signal.SIGTERM:
            ending.set()
        news.set()

    signal.signal(signal.SIGTERM, hear)
    signal.signal(signal.SIGCHLD, hear)
    record(folder)
    hosts = {_fork(lab, name) for name in layout.HOSTS}
    told = False
    while hosts:
        if ending.is_set() and not told:
            proc.send(hosts, signal.SIGTERM)
            told = True
        _collect(hosts)
        if not told:  # a host that is ending has its own children to reap
            mine = {pid for pid, (parent, state) in proc.table().items() if parent == os.getpid() and state not in "ZX"}
            proc.send(mine - hosts, signal.SIGKILL)
        news.wait(0.02 if told else 1.0)
        news.clear()
    proc.destroy(os.getpid())
    (folder / "rack.pid").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
