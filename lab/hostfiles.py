"""What stands on a host's disk: sshd's configuration, the host tools, passwords, and the folder a power cut wipes."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from lab import proc
from lab.haproxy import backend, configuration
from lab.layout import DATABASES, HOSTS, HTTP_PORT, PG_PORT, SSH_PORT, Lab
from lab.postgres import bindir, host_conf

HERE = Path(__file__).resolve().parent
PERSONS = ("dba-1", "dba-2", "duty-1", "director-1", "operator-1")
TOOLS = {"pg": ("pg",), "lb": ("lb", "haproxy-set"), "app": ("app",)}


def user() -> str:
    """The name of the user who runs this, who is also every host's only user."""
    return pwd.getpwuid(os.getuid()).pw_name


def private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, never readable by others in between."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def environment(lab: Lab, name: str) -> dict[str, str]:
    """What every process of a host inherits."""
    folder = lab.host(name)
    return {
        "HOME": str(folder / "home"), "USER": user(), "LOGNAME": user(), "LANG": "C.UTF-8",
        "PATH": f"{folder}/bin:{bindir()}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", proc.MARK: str(lab.folder),
    }


def make_keys(lab: Lab) -> None:
    """A key for each host, for the node's SSH client, and for each person; kept until the lab is purged."""
    lab.keys.mkdir(exist_ok=True)
    for name in (*HOSTS, "client", *PERSONS):
        key = lab.keys / name
        if not key.with_suffix(".pub").exists() or not key.exists():
            key.unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)


def write_known_hosts(lab: Lab) -> None:
    """Every host's public key under its address, for OpenSSH and paramiko alike."""
    lines = [f"[{lab.address(h)}]:{SSH_PORT} {' '.join(public(lab, h).split()[:2])}\n" for h in HOSTS]
    (lab.keys / "known_hosts").write_text("".join(lines))


def public(lab: Lab, name: str) -> str:
    """The public key ``ssh-ed25519 AAAA… comment`` of a host, person or the client."""
    return (lab.keys / f"{name}.pub").read_text().strip()


def fresh_run(folder: Path) -> None:
    """The host's /run: pid files, sockets, receipts. A power cut wipes it."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    (folder / "run").mkdir(mode=0o700)
    (folder / "run/receipts").mkdir(mode=0o700)


def _sshd(lab: Lab, name: str) -> str:
    folder = lab.host(name)
    set_env = " ".join(f"{key}={value}" for key, value in environment(lab, name).items())
    return f"""\
ListenAddress {lab.address(name)}:{SSH_PORT}
HostKey {lab.keys}/{name}
AuthorizedKeysFile {lab.keys}/client.pub
AllowUsers {user()}
PidFile none
UsePAM no
# the lab's folder is under /var/tmp, which everyone may write to; the folder itself is private
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
MaxStartups 100
MaxSessions 100
PrintMotd no
PrintLastLog no
AcceptEnv LANG LC_*
SetEnv {set_env}
ForceCommand {folder}/bin/session
Subsystem sftp /usr/lib/openssh/sftp-server
"""


def passwords(lab: Lab) -> dict[str, str]:
    """``{database role: password}`` as the template was made with."""
    found: dict[str, str] = json.loads((lab.template / "passwords.json").read_text())
    return found


def pgpass(lab: Lab, *roles: str) -> str:
    """The text of a libpq password file for these roles."""
    known = passwords(lab)
    return "".join(f"*:*:*:{role}:{known[role]}\n" for role in roles)


def make_host(lab: Lab, name: str) -> None:
    """All files of one host, but a database's data."""
    folder, tool = lab.host(name), HOSTS[name].tool
    for sub in ("home", "etc", "log", "bin"):
        (folder / sub).mkdir(parents=True)
    fresh_run(folder)
    for script in ("session", *TOOLS[tool]):
        shutil.copy(HERE / "bin" / f"{script}.sh", folder / "bin" / script)
        (folder / "bin" / script).chmod(0o700)
    (folder / "etc/sshd_config").write_text(_sshd(lab, name))
    facts = {
        "host": name, "lab": lab.folder, "address": lab.address(name), "port": PG_PORT, "http_port": HTTP_PORT,
        "python": sys.executable, "pg_bin": bindir(), **{f"address_{h}": lab.address(h) for h in HOSTS},
    }
    (folder / "etc/lab.env").write_text("".join(f"{key}='{value}'\n" for key, value in facts.items()))
    roles = {"pg": ("postgres", "repl", "hisauto"), "lb": ("hisauto",), "app": ("his", "hisauto")}[tool]
    private(folder / "home/.pgpass", pgpass(lab, *roles))
    if tool == "pg":
        (folder / "etc/host.conf").write_text(host_conf(lab, name))
    if tool == "lb":
        (folder / "etc/haproxy.cfg").write_text(configuration(lab))
        (folder / "etc/his_db.cfg").write_text(backend(DATABASES[0], lab.address(DATABASES[0])))
