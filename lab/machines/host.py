"""One host: a machine made by systemd-nspawn, with a network, a disk and a control group of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from lab import proc
from lab.layout import Lab
from lab.machines import base, cgroups, names, network
from lab.machines.command import run as command
from lab.machines.disk import Disk
from lab.machines.files import OPT, Host
from lab.supply import Supply

REBOOT = 133
"""How systemd-nspawn ends when the machine wants to be started again."""
WAIT = 10.0


class Machine(Supply):
    """The power supply of one host, and what a host's firmware does: starting it again when it reboots."""

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(lab, name)
        self.disk = Disk(self.dir, base.place())
        self.line = names.line(lab.folder, name)
        self.groups: dict[str, Any] = {}
        self.nspawn: subprocess.Popen[bytes] | None = None
        self.boots = 0

    # ---------------------------------------------------------------- power
    def power_on(self) -> None:
        new = not self.dir.exists()
        if new:
            self.dir.mkdir(parents=True)
            self.disk.make()
        self.disk.mount()
        if new:
            Host(self.lab, self.name, self.disk.root).make()
        self.groups = cgroups.make(names.group(self.lab.folder), self.name)
        self.boot()

    def boot(self) -> None:
        with (self.dir / "console.log").open("ab") as log:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--keep-unit", "--register=no", "--console=pipe",
                 "-D", self.disk.root, "-M", names.machine(self.lab.folder, self.name), f"--hostname={self.name}",
                 f"--network-bridge={names.bridge(self.lab.folder)}",
                 "--resolv-conf=off", "--timezone=off", "--link-journal=no"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: cgroups.enter(self.groups),
            )  # fmt: skip
        self.boots += 1

    def power_off(self) -> None:
        """Exact: the line is dead first, then the disk, then everything that ran; nothing gets out any more."""
        network.cut(self.line)
        self.disk.cut()
        self.end()

    def end(self) -> None:
        """Nothing of the host runs, and its disk is put away."""
        self.destroy()
        self.disk.unmount()
        self.state = "off"

    def destroy(self) -> None:
        cgroups.kill(self.groups["unified"])
        if self.nspawn is not None:
            self.nspawn.wait(WAIT)
            self.nspawn = None
        proc.reap()
        network.remove(self.line)

    def look(self) -> None:
        """A machine that ended by itself was shut down, or wants to start again."""
        if self.nspawn is not None and self.nspawn.poll() is not None and self.state != "off":
            self.ended(self.nspawn.returncode)
        proc.reap()

    def ended(self, code: int) -> None:
        self.destroy()
        if code == REBOOT:
            self.boot()
        else:
            self.end()

    # ---------------------------------------------------------------- hanging
    def freeze(self) -> None:
        cgroups.freeze(self.groups, True)

    def thaw(self) -> None:
        cgroups.freeze(self.groups, False)

    # ---------------------------------------------------------------- looking inside
    def leader(self) -> int | None:
        """The host's first process, by its number outside."""
        if self.nspawn is None:
            return None
        children = [pid for pid, (parent, _) in proc.table().items() if parent == self.nspawn.pid]
        return next(iter(children), None)

    def facts(self) -> dict[str, Any]:
        return {"leader": self.leader(), "boots": self.boots}

    def use_tool(self, verb: str) -> subprocess.CompletedProcess[bytes]:
        if self.tool in ("pg", "lb", "app", "repo"):
            return inside(self.leader(), f"/{OPT}/bin/{self.tool}", verb)
        if verb == "status":
            return inside(self.leader(), "systemctl", "is-active", "-q", "ssh")
        raise RuntimeError("it has no service of its own")

    def processes(self) -> dict[int, str]:
        return {pid: proc.command(pid) for pid in sorted(proc.descendants(self.nspawn.pid))} if self.nspawn else {}


def inside(leader: int | None, *argv: str) -> subprocess.CompletedProcess[bytes]:
    """A command as root in a host whose first process is ``leader``. Raises RuntimeError, SubprocessError."""
    if leader is None:
        raise RuntimeError("the host does not run")
    return subprocess.run(
        ["nsenter", "-t", str(leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--", *argv],
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
    )  # fmt: skip


def run(lab: Lab, name: str) -> None:
    """Be the power supply of ``name``; ends only by SIGTERM, which is also what the rack's death sends."""
    os.setsid()
    os.umask(0o022)
    proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
    proc.prctl(proc.PR_SET_PDEATHSIG, signal.SIGTERM)
    held = base.hold()
    proc.own_mounts()
    command("mount", "--make-rprivate", "/")
    command("mount", "-t", "tmpfs", "tmpfs", "/run")  # systemd-nspawn keeps things there that nobody would remove
    machine = Machine(lab, name)

    def end(*_: object) -> None:
        if machine.groups:
            cgroups.kill(machine.groups["unified"])
        os.close(held)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        machine.serve()
    finally:
        sys.stderr.flush()
        os._exit(1)
