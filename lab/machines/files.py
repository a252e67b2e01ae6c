"""What makes the base one certain host: written on its disk before it boots for the first time."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from lab.haproxy import backend, configuration
from lab.keys import pgpass, private
from lab.layout import DATABASES, HTTP_PORT, PG_PORT, TLS_PORT, Lab
from lab.machines import base, package
from lab.machines.command import run
from lab.postgres import COMMON, hba

CODE = Path(__file__).resolve().parents[1]
OPT = "opt/hospital"
TOOLS = {"pg": ("pg",), "lb": ("lb", "haproxy-set"), "app": ("app",), "repo": ("repo",), "none": ()}

NETWORK = """\
[Match]
Name=host0

[Network]
Address={address}/24
LinkLocalAddressing=no
IPv6AcceptRA=no
KeepConfiguration=static
"""
REPOSITORY = f"""\
server {{
  listen {HTTP_PORT};
  root /srv/apt;
}}
"""
TLS = f"""
frontend his_tls
  mode http
  bind 0.0.0.0:{TLS_PORT} ssl crt /etc/haproxy/site.pem
  timeout client 15s
  default_backend his
"""
PACKAGES = Path("var/cache/his")
"""Of the package that was installed first, to go back to without the repository."""


class Host:
    """One host's root file system, seen from outside at ``root``."""

    def __init__(self, lab: Lab, name: str, root: Path) -> None:
        self.lab, self.name, self.root, self.tool = lab, name, root, lab.hosts[name].tool

    def write(self, path: str, text: str, mode: int = 0o644, owner: str = "root") -> None:
        """A file; missing folders are made, root's and open to all."""
        target = self.root / path
        for folder in reversed(target.relative_to(self.root).parents):
            if not (self.root / folder).exists():
                (self.root / folder).mkdir(mode=0o755)
                (self.root / folder).chmod(0o755)
        private(target, text)
        os.chown(target, *self.ids(owner))
        target.chmod(mode)

    def copy(self, source: Path, path: Path) -> None:
        """A file that everybody may read."""
        self.write(str(path), "")
        shutil.copyfile(source, self.root / path)

    def ids(self, user: str) -> tuple[int, int]:
        """User and group number of a user of the host."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        raise KeyError(user)

    def enable(self, unit: str, folder: str = "lib/systemd/system") -> None:
        """It starts at boot."""
        (self.root / "etc/systemd/system/multi-user.target.wants" / unit).symlink_to(f"/{folder}/{unit}")

    # ---------------------------------------------------------------- every host
    def make(self) -> None:
        """All of it."""
        lab = self.lab
        self.write("etc/hostname", f"{self.name}\n")
        self.write("etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        hosts = "".join(f"{lab.address(host)} {host}\n" for host in lab.hosts)
        self.write("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n{hosts}")
        self.write("etc/systemd/network/10-host0.network", NETWORK.format(address=lab.address(self.name)))
        self.write("etc/ssh/host_key", (lab.keys / self.name).read_text(), 0o600)
        self.write("etc/ssh/authorized_keys", (lab.keys / "client.pub").read_text())
        self.write(f"{OPT}/etc/lab.env", self.facts())
        self.tools()
        if self.tool == "pg":
            self.database()
        elif self.tool == "lb":
            self.proxy()
        elif self.tool == "app":
            self.application()
        elif self.tool == "repo":
            self.repository()

    def facts(self) -> str:
        version = base.postgres(self.root)
        found = {
            "host": self.name, "address": self.lab.address(self.name), "port": PG_PORT, "http_port": HTTP_PORT,
            "python": "/usr/bin/python3", "cluster": f"{version}/main", "pg_bin": f"/usr/lib/postgresql/{version}/bin",
            "haproxy_socket": "/run/haproxy/admin.sock",
            **{f"address_{host}": self.lab.address(host) for host in self.lab.hosts},
        }  # fmt: skip
        return "".join(f"{key}='{value}'\n" for key, value in found.items())

    def tools(self) -> None:
        for tool in TOOLS[self.tool]:
            self.write(f"{OPT}/bin/{tool}", (CODE / f"bin/{tool}.sh").read_text(), 0o755)
            (self.root / "usr/local/bin" / tool).symlink_to(f"/{OPT}/bin/{tool}")
        here = CODE / f"bin/systemd/{self.tool}.sh"
        if here.exists():
            self.write(f"{OPT}/bin/{self.tool}-here", here.read_text())

    # ---------------------------------------------------------------- databases
    def database(self) -> None:
        config = f"etc/postgresql/{base.postgres(self.root)}/main"
        own = f"listen_addresses = '*'\ncluster_name = '{self.name}'\nshared_buffers = 32MB\nssl = off\n{COMMON}"
        self.write(f"{config}/conf.d/lab.conf", own, owner="postgres")
        network = f"{self.lab.prefix}.0/24"
        self.write(f"{config}/pg_hba.conf", f"local all postgres peer\n{hba(network)}", 0o640, "postgres")
        self.write(f"{OPT}/home/.pgpass", pgpass(self.lab, "postgres", "repl", "hisauto"), 0o600)
        self.write("var/lib/postgresql/.pgpass", pgpass(self.lab, "repl"), 0o600, "postgres")
        self.login_pgpass("hisauto")

    def login_pgpass(self, *roles: str) -> None:
        """What the login user may ask the databases as."""
        self.write(f"home/{base.LOGIN}/.pgpass", pgpass(self.lab, *roles), 0o600, base.LOGIN)

    # ---------------------------------------------------------------- the proxy
    def proxy(self) -> None:
        text = configuration(
            self.lab, "0.0.0.0",  # noqa: S104 - of the host, in its own network
            f"/run/haproxy/admin.sock mode 660 group {base.LOGIN}", "/var/lib/haproxy/servers.state",
        )  # fmt: skip
        text += TLS
        self.certificate()
        self.write("etc/haproxy/haproxy.cfg", text)
        self.write("etc/haproxy/his_db.cfg", backend(DATABASES[0], self.lab.address(DATABASES[0])))
        self.write("var/lib/haproxy/servers.state", "")
        self.write("etc/default/haproxy", 'EXTRAOPTS="-f /etc/haproxy/his_db.cfg"\n')
        # what a fault has stopped stays so until it is healed; the state of drained servers outlives a reload only
        self.write("etc/systemd/system/haproxy.service.d/lab.conf", "[Service]\nRestart=no\n")
        self.enable("haproxy.service")
        self.login_pgpass("hisauto")

    def certificate(self) -> None:
        """The service's own, valid for a year, by an authority of its own that a client has to trust."""
        folder = self.root / "etc/haproxy"
        make = ("chroot", self.root, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "365")  # fmt: skip
        run(*make, "-subj", "/CN=lab hospital", "-keyout", "/etc/haproxy/ca.key", "-out", "/etc/haproxy/ca.crt")
        run(*make, "-subj", "/CN=registration", "-addext", f"subjectAltName=IP:{self.lab.address(self.name)}",
            "-CA", "/etc/haproxy/ca.crt", "-CAkey", "/etc/haproxy/ca.key",
            "-keyout", "/etc/haproxy/site.key", "-out", "/etc/haproxy/site.crt")  # fmt: skip
        self.write("etc/haproxy/site.pem", (folder / "site.crt").read_text() + (folder / "site.key").read_text(), 0o600)
        (self.lab.keys / "registration.crt").write_text((folder / "ca.crt").read_text())

    # ---------------------------------------------------------------- the registration service
    def application(self) -> None:
        """The package as it would come from the repository, which is where its other versions do come from."""
        self.write("etc/his/pgpass", pgpass(self.lab, "his", "hisauto"), 0o600, "his")
        good = package.file(PACKAGES, package.GOOD)
        self.copy(self.lab.folder / package.file(Path("packages"), package.GOOD), good)
        run("chroot", self.root, "dpkg", "-i", f"/{good}")
        self.enable(f"{package.NAME}.service")
        for path in (self.root / "etc/apt/sources.list.d").glob("*"):
            path.unlink()
        self.write("etc/apt/sources.list", f"deb [trusted=yes] http://{self.lab.address('repo1')}:{HTTP_PORT} ./\n")
        self.login_pgpass("hisauto")

    # ---------------------------------------------------------------- the package repository
    def repository(self) -> None:
        self.write("etc/nginx/sites-enabled/default", REPOSITORY)
        for folder, version in (("pool", package.GOOD), ("held", package.BAD)):
            name = package.file(Path(), version)
            self.copy(self.lab.folder / "packages" / name, Path("srv/apt", folder, name))
        self.enable("nginx.service")
