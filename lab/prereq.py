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

from lab.errors import LabError
from lab.postgres import bindir

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


def missing() -> list[str]:
    """Debian packages that the process lab needs and that aren't installed, in alphabetical order."""
    packages = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    try:
        bindir()
    except LabError:
        packages.add("postgresql")
    return sorted(packages)


@dataclass(frozen=True)
class Best:
    """The best lab that this machine can carry, and what it can't show."""

    kind: str
    skipped: tuple[tuple[str, str], ...]
    """What can't be shown here, each with the reason."""


def best() -> Best:
    """Which kind of lab, and what it leaves out. Only the process lab exists so far."""
    reason = "all hosts share this machine's kernel"
    return Best("processes", (
        ("loss of what was written but not synced", "the page cache survives a killed process"),
        ("a network that drops or partitions", reason),
        ("a reboot with a new boot id", reason + "; a power cut shows in the wiped receipts only"),
        ("several accounts, sudo and systemd on the hosts", "every host runs as the lab's one user"),
    ))  # fmt: skip


def lab_user() -> pwd.struct_passwd:
    """Who owns the lab: the caller, or for root ``HISAUTO_LAB_USER`` (default ``postgres``). Raises LabError."""
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


def check() -> pwd.struct_passwd:
    """The lab's user, if everything is there. Raises LabError that names what is missing."""
    if packages := missing():
        raise LabError(
            f"Missing: {', '.join(packages)}",
            hint=f"as root: apt-get update && apt-get install -y {' '.join(packages)}",
        )
    user = lab_user()
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


def main() -> int:
    """Whatever the lab needs is here afterwards, or it has been said what is missing."""
    try:
        packages = missing()
        if packages and os.geteuid() == 0 and shutil.which("apt-get"):
            print(f"installing Debian packages: {' '.join(packages)}", flush=True)
            install(packages)
        check()
    except LabError as error:
        print(f"lab: {error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
