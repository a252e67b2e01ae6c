"""What a machine needs to carry the lab, and who may run it.

``python -m lab.prereq --install``: root installs what is missing, everybody else is told.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lab.errors import LabError
from lab.layout import Kind
from lab.machines import trial
from lab.postgres import bindir

KINDS: tuple[Kind, ...] = get_args(Kind)
CHOICE = "HISAUTO_LAB"
"""Environment variable: the kind of lab that is demanded."""
PROGRAMS = {  # program → Debian package that brings it
    "/usr/sbin/sshd": "openssh-server",
    "/usr/lib/openssh/sftp-server": "openssh-sftp-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "/usr/sbin/haproxy": "haproxy",
    "psql": "postgresql-client",
    "curl": "curl",
    "flock": "util-linux",
    "setsid": "util-linux",
    "ipcrm": "util-linux",
    "pgrep": "procps",
    "find": "findutils",
    "awk": "mawk",
    "/usr/bin/python3": "python3",
}
POLICY = Path("/usr/sbin/policy-rc.d")
NO_START = "#!/bin/sh\n# hisauto: the lab starts its own processes; what is being installed stays off\nexit 101\n"


MACHINE_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "tc": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


def missing(kind: Kind = "processes") -> list[str]:
    """Debian packages that this kind of lab needs and that aren't installed, in alphabetical order."""
    programs = PROGRAMS if kind == "processes" else MACHINE_PROGRAMS
    packages = {package for program, package in programs.items() if shutil.which(program) is None}
    if kind == "processes":
        try:
            bindir()
        except LabError:
            packages.add("postgresql")
    return sorted(packages)


def obstacles() -> list[str]:
    """Why this machine can't carry the machines lab, beside packages; empty if it can. Tried, not guessed."""
    if os.geteuid() != 0:
        return ["it takes root"]
    return trial.obstacles()


@dataclass(frozen=True)
class Best:
    """The best lab that this machine can carry, and what is left out."""

    kind: Kind
    skipped: tuple[tuple[str, str], ...]
    """What can't be shown here, each with the reason."""
    lacking: tuple[str, ...] = ()
    """What this machine would need for more."""


LEFT_OUT: dict[Kind, tuple[tuple[str, str], ...]] = {
    "processes": (
        ("loss of what was written but not synced", "the page cache survives a killed process"),
        ("a network that drops or partitions", "all hosts share this machine's network"),
        ("a reboot with a new boot id", "a power cut shows in the wiped receipts only"),
        ("several accounts, sudo and systemd on the hosts", "every host runs as the lab's one user"),
    ),
    "machines": (("a kernel that crashes", "all hosts share this machine's kernel"),),
}


def best() -> Best:
    """Which kind of lab this machine can carry, what that leaves out, and what it would need for more."""
    packages = missing("machines")
    lacking = (f"Debian's {', '.join(packages)}",) if packages else tuple(obstacles())
    kind: Kind = "processes" if lacking else "machines"
    return Best(kind, LEFT_OUT[kind], lacking)


def demanded() -> Kind | None:
    """The kind that ``HISAUTO_LAB`` asks for, if it does. Raises LabError."""
    said = os.environ.get(CHOICE, "")
    if said and said not in KINDS:
        raise LabError(f"{CHOICE} is {said!r}, and has to be one of: {', '.join(KINDS)}")
    return said if said else None


def lab_user(kind: Kind = "processes") -> pwd.struct_passwd:
    """Who owns the lab: the caller, or for root ``HISAUTO_LAB_USER`` (default ``postgres``). Raises LabError.

    Of machines: root.
    """
    if kind == "machines":
        if os.geteuid() != 0:
            raise LabError("The machines lab takes root", hint="as root, or: lab up --kind processes")
        return pwd.getpwuid(0)
    if os.geteuid() != 0:
        try:
            return pwd.getpwuid(os.geteuid())
        except KeyError:
            raise LabError(
                f"User id {os.geteuid()} has no entry in /etc/passwd; sshd and initdb need one",
                hint="run as a named user",
            ) from None
    name = os.environ.get("HISAUTO_LAB_USER", "postgres")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise LabError(
            f"There is no user {name!r} for the lab's processes (root can't run PostgreSQL)",
            hint="apt-get install postgresql creates postgres; or name one in HISAUTO_LAB_USER",
        ) from None
    if user.pw_uid == 0:
        raise LabError("The lab's user can't be root", hint="PostgreSQL refuses it; set HISAUTO_LAB_USER to another")
    return user


def check(kind: Kind = "processes") -> pwd.struct_passwd:
    """The lab's user, if everything is there. Raises LabError that names what is missing."""
    if packages := missing(kind):
        raise LabError(
            f"Missing: {', '.join(packages)}",
            hint=f"as root: apt-get update && apt-get install -y {' '.join(packages)}",
        )
    user = lab_user(kind)
    if kind == "machines":
        if found := obstacles():
            raise LabError(
                f"This machine can't carry a lab of machines: {'; '.join(found)}", hint="lab up --kind processes"
            )
        return user
    if Path(user.pw_shell).name in ("nologin", "false") or not os.access(user.pw_shell, os.X_OK):
        raise LabError(
            f"{user.pw_name} has no login shell ({user.pw_shell or 'none'}), so sshd can't start a session",
            hint="set HISAUTO_LAB_USER to a user with a shell, or: chsh -s /bin/bash " + user.pw_name,
        )
    return user


@contextlib.contextmanager
def _nothing_started() -> Iterator[None]:
    """Debian's way to install services without starting them: ports 22 and 5432 are no business of ours."""
    ours = not POLICY.exists() or POLICY.read_text() == NO_START  # that of an installation which was killed is ours too
    if ours:
        POLICY.write_text(NO_START)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def install(packages: list[str]) -> None:
    """Install Debian packages, without starting the services in them. For root. Raises LabError."""
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*apt, *words], env=env, capture_output=True, text=True, check=False)

    with _nothing_started():
        updated = run("update")
        done = run("install", "-y", "--no-install-recommends", *packages)
    if done.returncode != 0:
        said = "\n".join((updated.stderr + done.stderr).strip().splitlines()[-8:])
        raise LabError(f"apt-get could not install {' '.join(packages)}:\n{said}")


def _carried() -> list[Kind]:
    """The kinds of lab that are demanded, or that this machine might carry once it has the packages."""
    if kind := demanded():
        return ["processes", kind] if kind == "machines" else [kind]
    return ["processes"] if os.geteuid() != 0 or trial.no_groups() else ["processes", "machines"]


def main() -> int:
    """Whatever the lab needs is here afterwards, or it has been said what is missing."""
    try:
        packages = sorted({package for kind in _carried() for package in missing(kind)})
        if packages and os.geteuid() == 0 and shutil.which("apt-get"):
            print(f"installing Debian packages: {' '.join(packages)}", flush=True)
            install(packages)
        for kind in _carried() if demanded() else KINDS[:1]:
            check(kind)
    except LabError as error:
        print(f"lab: {error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
