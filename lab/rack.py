"""The rack: parent of all supervisors. Killing it powers every host off.

It is a subreaper too: if a supervisor is killed, that host's orphans arrive here and die, instead of getting lost.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from lab import layout, proc


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


def _fork(lab: layout.Lab, name: str, run: Callable[[layout.Lab, str], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(lab, name)
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
    # A pipe, not an Event: a handler that sets one stops for ever if it interrupts whoever waits for it.
    news, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    record(folder)
    module = {"processes": "lab.supervisor", "machines": "lab.machines.host"}[lab.kind]
    run = importlib.import_module(module).run
    hosts = {_fork(lab, name, run) for name in lab.hosts}
    ending = told = False
    while hosts:
        if ending and not told:
            proc.send(hosts, signal.SIGTERM)
            told = True
        _collect(hosts)
        if not told:  # a host that is ending has its own children to reap
            mine = {pid for pid, (parent, state) in proc.table().items() if parent == os.getpid() and state not in "ZX"}
            proc.send(mine - hosts, signal.SIGKILL)
        if select.select([news], [], [], 0.02 if told else 1.0)[0]:
            ending = ending or signal.SIGTERM in os.read(news, 65536)
    proc.destroy(os.getpid())
    (folder / "rack.pid").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
