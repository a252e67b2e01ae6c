"""The base: the root file system under every host's disk, from Debian's packages by this machine's own apt sources.

Made once for each recipe, for all labs of the machine: aside, under a lock, and moved into place when it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import LabError
from lab.layout import PG_PORT, SSH_PORT

CACHE = Path("/var/cache/hisauto-lab")
LOGIN = "hisauto"
"""Whom ssh logs in as: an ordinary user who may use sudo."""

PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo", "iproute2", "nftables", "procps",
    "curl", "ca-certificates", "openssl", "apt-utils", "python3", "python3-psycopg", "postgresql", "pgbackrest",
    "haproxy", "nginx-light", "libfaketime",
)  # fmt: skip
OPTIONS = (
    "--mode=root", "--quiet", "--variant=apt", "--components=main", '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"', f"--include={','.join(PACKAGES)}",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")),
)  # fmt: skip
OFF = ("haproxy", "nginx", "postgresql", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
       "e2scrub_all.timer", "fstrim.timer", "e2scrub_reap")  # fmt: skip
MASKED = ("console-getty.service", "getty@tty1.service", "systemd-networkd-wait-online.service")

BEFORE = f"""\
set -e
mkdir -p "$1/etc/postgresql-common" "$1/usr/sbin"
cat >"$1/etc/postgresql-common/createcluster.conf" <<'CONF'
start_conf = 'manual'
add_include_dir = 'conf.d'
initdb_options = '--data-checksums --wal-segsize=1 --locale=C.UTF-8 --encoding=UTF8'
port = {PG_PORT}
CONF
printf '#!/bin/sh\\nexit 101\\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
"""
AFTER = f"""\
set -e
rm -f "$1/usr/sbin/policy-rc.d" "$1"/etc/ssh/ssh_host_* "$1/etc/resolv.conf" "$1/etc/ssl/private/"*.key
chroot "$1" systemctl -q disable {' '.join(OFF)}
chroot "$1" systemctl -q mask {' '.join(MASKED)}
chroot "$1" systemctl -q enable systemd-networkd
chroot "$1" useradd -m -s /bin/bash {LOGIN}
chroot "$1" useradd -r -d /var/lib/his-registration -s /usr/sbin/nologin his
cat >"$1/etc/sudoers.d/{LOGIN}" <<'CONF'
{LOGIN} ALL=(ALL) NOPASSWD: ALL
Defaults:{LOGIN} !syslog, !pam_session
CONF
chmod 440 "$1/etc/sudoers.d/{LOGIN}"
cat >"$1/etc/ssh/sshd_config.d/lab.conf" <<'CONF'
Port {SSH_PORT}
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
AllowUsers {LOGIN}
PasswordAuthentication no
UseDNS no
MaxStartups 100
MaxSessions 100
CONF
cat >"$1/etc/tmpfiles.d/hisauto.conf" <<CONF
d /run/hisauto 0755 root root
d /run/hisauto/$(chroot "$1" id -u {LOGIN}) 0700 {LOGIN} {LOGIN}
CONF
"""


def codename() -> str:
    """Of the Debian release that this machine runs. Raises LabError."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        raise LabError("The machines lab takes its packages from this machine's Debian, and this isn't one")
    return release["VERSION_CODENAME"]


def sources() -> list[Path]:
    """This machine's apt sources that are of its own release and nothing else. Raises LabError."""
    name = codename()
    ours = {name, f"{name}-updates", f"{name}-security"}
    found = []
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.suffix in (".list", ".sources") and path.exists():
            suites = _suites(path)
            if suites and suites <= ours:
                found.append(path)
    if not found:
        raise LabError(f"No apt source of {name} in /etc/apt", hint="the base is made from this machine's own sources")
    return found


def _suites(path: Path) -> set[str]:
    found: set[str] = set()
    for line in path.read_text().splitlines():
        words = line.split()
        if path.suffix == ".sources" and words[:1] == ["Suites:"]:
            found |= set(words[1:])
        elif path.suffix == ".list" and words[:1] == ["deb"]:
            options = next((n for n, word in enumerate(words) if word.endswith("]")), 0)
            found |= set(words[options + 2 : options + 3])
    return found


def recipe() -> str:
    """What the base is made of, in twelve characters: another one is another base."""
    text = "\n".join((codename(), *OPTIONS, BEFORE, AFTER))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def place() -> Path:
    """Where the base of this recipe is, or will be. Raises LabError."""
    return CACHE / recipe() / "root"


def _make(target: Path) -> None:
    """Raises LabError."""
    hooks = target.parent
    for name, text in (("before", BEFORE), ("after", AFTER)):
        (hooks / name).write_text(f"#!/bin/sh\n{text}")
        (hooks / name).chmod(0o700)
    done = subprocess.run(
        # whatever becomes of us, its processes and mounts end with it
        ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "mmdebstrap", *OPTIONS,
         f'--setup-hook={hooks}/before "$1"', f'--customize-hook={hooks}/after "$1"', codename(), target, *sources()],
        capture_output=True, text=True, check=False,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(hooks), "LANG": "C"},
    )  # fmt: skip
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise LabError(f"mmdebstrap could not make the base of the machines lab:\n{said}")


@contextlib.contextmanager
def _lock(path: Path, operation: int) -> Iterator[bool]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, operation)
        except BlockingIOError:
            yield False
            return
        yield True


def ready(progress: Callable[[str], None]) -> Path:
    """The base's root file system, made if it isn't there. Takes a minute then. Raises LabError."""
    CACHE.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(CACHE / "lock", fcntl.LOCK_EX):
        found = place()
        if not found.exists():
            progress("making the base of the machines, once: about a minute")
            _sweep()
            aside = CACHE / "new"
            aside.mkdir(mode=0o755)
            _make(aside / "root")
            for name in ("before", "after"):
                (aside / name).unlink()
            aside.rename(found.parent)
    return found


def hold() -> int:
    """A descriptor that keeps the base in place as long as it is open. Raises LabError."""
    held = os.open(place().parent / "held", os.O_WRONLY | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _sweep() -> None:
    """Remove bases of other recipes that no lab stands on, and what a killed builder has left."""
    for folder in CACHE.iterdir():
        if folder.is_dir():
            with _lock(folder / "held", fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
                if free:
                    shutil.rmtree(folder)


def postgres(base: Path) -> str:
    """The major version of PostgreSQL in the base, ``15``. Raises LabError."""
    found = sorted(path.name for path in (base / "etc/postgresql").glob("*"))
    if len(found) != 1:
        raise LabError(f"The base {base} has no PostgreSQL of one version ({', '.join(found) or 'none'})")
    return found[0]


if __name__ == "__main__":
    print(ready(lambda text: print(text, file=sys.stderr)))
