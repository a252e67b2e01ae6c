"""One host: a supervisor, and below it everything that runs there.

The supervisor is a session leader and a child subreaper, so sshd, its sessions, a postmaster that daemonised and a
double fork all stay its descendants: its tree *is* the host, and killing the tree is a power cut.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from lab import proc
from lab.hostfiles import environment, fresh_run
from lab.layout import Lab
from lab.postgres import release
from lab.supply import Supply

SSHD = "/usr/sbin/sshd"  # sshd re-executes itself and insists on its absolute path


class Supervisor(Supply):
    """The power supply of one host that is a process tree."""

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(lab, name)
        self.held: list[socket.socket] = []
        self.env = environment(lab, name)

    def spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self.dir / "log" / f"{Path(argv[0]).name}.log").open("ab") as log:
            return subprocess.Popen(  # an own session: what is typed at the terminal is not for the host
                argv, env=self.env, cwd=self.dir / "home", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )

    def power_on(self) -> None:
        """sshd, and what starts at boot."""
        fresh_run(self.dir)
        self.lighten()
        self.spawn(SSHD, "-D", "-e", "-f", str(self.dir / "etc/sshd_config"))
        if self.tool != "pg":
            self.spawn(str(self.dir / "bin" / self.tool), "start")

    def power_off(self) -> None:
        """Exact: nothing runs any more, nothing is left in memory, then the host is dark."""
        proc.freeze(os.getpid())
        proc.destroy(os.getpid())
        self.state = "off"
        if self.tool == "pg":
            release(self.dir / "data")
        shutil.rmtree(self.dir / "run", ignore_errors=True)
        self.darken()

    def freeze(self) -> None:
        proc.freeze(os.getpid())

    def thaw(self) -> None:
        proc.send(proc.descendants(os.getpid()), signal.SIGCONT)

    def darken(self) -> None:
        """Take the host's ports with a full backlog: the kernel then drops SYNs, and connecting times out.

        A dead process refuses; a dead machine doesn't answer.
        """
        for port in self.lab.hosts[self.name].ports:
            hole = socket.socket()
            hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            hole.bind((self.lab.address(self.name), port))
            hole.listen(0)
            self.held.append(hole)
            plug = socket.socket()
            plug.setblocking(False)  # a client may have filled the backlog in between; it won't be answered either
            with contextlib.suppress(BlockingIOError):
                plug.connect((self.lab.address(self.name), port))
            self.held.append(plug)

    def lighten(self) -> None:
        for held in self.held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST: leave no TIME_WAIT
            held.close()
        self.held.clear()

    def use_tool(self, verb: str) -> subprocess.CompletedProcess[bytes]:
        """Run the host's own tool. Raises OSError, subprocess.SubprocessError."""
        return subprocess.run(
            [str(self.dir / "bin" / self.tool), verb], env=self.env, cwd=self.dir / "home", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=15, start_new_session=True, check=False,
        )  # fmt: skip

    def processes(self) -> dict[int, str]:
        return {pid: proc.command(pid) for pid in sorted(proc.descendants(os.getpid()))}


def run(lab: Lab, name: str) -> None:
    """Be the supervisor of ``name``; ends only by SIGTERM, which is also what the rack's death sends."""
    os.setsid()
    proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
    proc.prctl(proc.PR_SET_PDEATHSIG, signal.SIGTERM)
    supervisor = Supervisor(lab, name)

    def end(*_: object) -> None:
        proc.freeze(os.getpid())
        proc.destroy(os.getpid())
        if supervisor.tool == "pg":
            release(supervisor.dir / "data")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        supervisor.serve()
    finally:
        sys.stderr.flush()
        os._exit(1)
