"""What stands on a host's disk: sshd's configuration, the host tools, and the folder that a power cut wipes."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path

from lab import proc
from lab.haproxy import backend, configuration
from lab.keys import pgpass, private
from lab.layout import DATABASES, HTTP_PORT, PG_PORT, SSH_PORT, Lab
from lab.postgres import bindir, host_conf

HERE = Path(__file__).resolve().parent
TOOLS = {"pg": ("pg",), "lb": ("lb", "haproxy-set"), "app": ("app",)}


def user() -> str:
    """The name of the user who runs this, who is also every host's only user."""
    return pwd.getpwuid(os.getuid()).pw_name


def environment(lab: Lab, name: str) -> dict[str, str]:
    """What every process of a host inherits."""
    folder = lab.host(name)
    return {
        "HOME": str(folder / "home"), "USER": user(), "LOGNAME": user(), "LANG": "C.UTF-8",
        "PATH": f"{folder}/bin:{bindir()}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", proc.MARK: str(lab.folder),
    }


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


def make_host(lab: Lab, name: str) -> None:
    """All files of one host, but a database's data."""
    folder, tool = lab.host(name), lab.hosts[name].tool
    for sub in ("home", "etc", "log", "bin"):
        (folder / sub).mkdir(parents=True)
    fresh_run(folder)
    for script in ("session", *TOOLS[tool]):
        shutil.copy(HERE / "bin" / f"{script}.sh", folder / "bin" / script)
        (folder / "bin" / script).chmod(0o700)
    shutil.copy(HERE / "bin/processes" / f"{tool}.sh", folder / "bin" / f"{tool}-here")
    (folder / "etc/sshd_config").write_text(_sshd(lab, name))
    facts = {
        "host": name, "lab": lab.folder, "address": lab.address(name), "port": PG_PORT, "http_port": HTTP_PORT,
        "python": sys.executable, "pg_bin": bindir(), **{f"address_{h}": lab.address(h) for h in lab.hosts},
    }
    (folder / "etc/lab.env").write_text("".join(f"{key}='{value}'\n" for key, value in facts.items()))
    roles = {"pg": ("postgres", "repl", "hisauto"), "lb": ("hisauto",), "app": ("his", "hisauto")}[tool]
    private(folder / "home/.pgpass", pgpass(lab, *roles))
    if tool == "pg":
        (folder / "etc/host.conf").write_text(host_conf(lab, name))
    if tool == "lb":
        run = folder / "run"
        text = configuration(lab, lab.address(name), f"{run}/haproxy.sock mode 600", run / "servers.state")
        (folder / "etc/haproxy.cfg").write_text(text)
        (folder / "etc/his_db.cfg").write_text(backend(DATABASES[0], lab.address(DATABASES[0])))
