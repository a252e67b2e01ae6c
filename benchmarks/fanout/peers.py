"""Who is measured: how each is installed, told about the hosts, and started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fanout.farm import Farm
from hisauto.app import App

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hisauto-bench"
PARALLEL = 50


@dataclass(frozen=True)
class Bench:
    """What a peer is started with."""

    farm: Farm
    hosts: tuple[str, ...]
    commands: int
    folder: Path
    """A private folder for this shape."""


@dataclass(frozen=True)
class Peer:
    """One client. ``packages`` go into an environment of its own, named ``venv``; none: it needs nothing installed."""

    name: str
    command: Callable[[Bench, Path], list[str]]
    """Its argument vector, from the bench and its environment's ``bin``."""
    venv: str = ""
    packages: tuple[str, ...] = ()

    def prepare(self) -> tuple[Path, str]:
        """Install what is missing. Its ``bin``, and the versions of what was asked for."""
        if not self.venv:
            return Path(sys.executable).parent, ""
        home = CACHE / self.venv
        if not (home / "ready").exists():
            print(f"installing {', '.join(self.packages)} into {home}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            subprocess.run([home / "bin/pip", "install", "-q", "--disable-pip-version-check", *self.packages],
                           check=True, stderr=subprocess.DEVNULL)  # fmt: skip
            (home / "ready").touch()
        names = [package.partition("=")[0].partition("<")[0].partition(">")[0] for package in self.packages]
        frozen = subprocess.run([home / "bin/pip", "freeze", "--disable-pip-version-check"], check=True,
                                capture_output=True, text=True).stdout.split()  # fmt: skip
        return home / "bin", ", ".join(line for line in frozen if line.partition("==")[0].lower() in names)


def ours(what: str) -> Callable[[Bench, Path], list[str]]:
    def command(bench: Bench, tools: Path) -> list[str]:
        site = bench.folder / "site"
        if not site.exists():
            _site(bench, site)
        return [sys.executable, "-m", "benchmarks.fanout.ours", what, str(site), str(bench.commands)]

    return command


def _site(bench: Bench, site: Path) -> None:
    farm, key = bench.farm, bench.folder / "person"
    for folder in ("runbooks", "inventory"):
        (site / folder).mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (site / "hisauto.yml").write_text(json.dumps({
        "site": {"id": "bench"}, "people": {"bench": {"roles": ["operator"], "keys": [public]}},
        "may": {"run": "operator"},
        "ssh": {"agent": False, "keys": str(farm.key), "known_hosts": str(farm.known_hosts), "connect_timeout": "20s"},
    }))  # fmt: skip
    variables = {"ansible_user": farm.user, "ansible_port": farm.port, "hisauto_receipts": f"{farm.home}/receipts"}
    hosts = {f"h{n:03}": {"ansible_host": host} for n, host in enumerate(bench.hosts, 1)}
    (site / "inventory/hosts.yml").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    for name, more in {"looks": {"changes": "no"}, "changes": {}}.items():
        steps = [
            {"name": f"Command {n}", "hosts": "all", "batch": "100%", "command": "echo ok", **more}
            for n in range(1, bench.commands + 1)
        ]
        runbook = {"runbook": f"{name}-{bench.commands}", "version": "1.0.0", "title": name, "kind": "routine",
                   "owner": "bench", "steps": steps}  # fmt: skip
        (site / f"runbooks/{name}-{bench.commands}.yml").write_text(json.dumps(runbook))
    app = App(site)
    assert app.inventory  # asks Ansible once; from then on its answer is cached
    app.store.close()  # makes the tables


def mux(bench: Bench, tools: Path) -> list[str]:
    farm, config = bench.farm, bench.folder / "ssh_config"
    config.write_text(
        f"Host *\n  Port {farm.port}\n  User {farm.user}\n  IdentityFile {farm.key}\n  IdentitiesOnly yes\n"
        f"  IdentityAgent none\n  UserKnownHostsFile {farm.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n  PreferredAuthentications publickey\n  LogLevel ERROR\n"
    )
    return [str(HERE / "mux.sh"), str(config), str(bench.commands), *bench.hosts]


def libssh2(bench: Bench, tools: Path) -> list[str]:
    farm, facts = bench.farm, bench.folder / "farm.json"
    blob = (farm.folder / "host_key.pub").read_text().split()[1]
    facts.write_text(json.dumps({"port": farm.port, "user": farm.user, "key": str(farm.key), "host_key": blob}))
    return [str(tools / "python"), str(HERE / "libssh2.py"), str(facts), str(bench.commands), *bench.hosts]


def pyinfra(bench: Bench, tools: Path) -> list[str]:
    farm, deploy, inventory = bench.farm, bench.folder / "deploy.py", bench.folder / "inventory.py"
    lines = "".join(f"server.shell(name='s{n}', commands=['echo ok'])\n" for n in range(bench.commands))
    deploy.write_text(f"from pyinfra.operations import server\n{lines}")
    data = {"ssh_user": farm.user, "ssh_port": farm.port, "ssh_key": str(farm.key),
            "ssh_known_hosts_file": str(farm.known_hosts), "ssh_strict_host_key_checking": "yes"}  # fmt: skip
    inventory.write_text(f"hosts = ({list(bench.hosts)!r}, {data!r})\n")
    return [str(tools / "pyinfra"), "-y", "--parallel", str(PARALLEL), str(inventory), str(deploy)]


def ansible(strategy: str = "") -> Callable[[Bench, Path], list[str]]:
    def command(bench: Bench, tools: Path) -> list[str]:
        farm, folder = bench.farm, bench.folder / f"ansible{strategy and '-' + strategy}"
        folder.mkdir(exist_ok=True)
        plugins = next(tools.parent.glob("lib/python3*/site-packages")) / "ansible_mitogen/plugins/strategy"
        (folder / "ansible.cfg").write_text(
            f"[defaults]\nforks = {PARALLEL}\nhost_key_checking = True\ntimeout = 60\nlocal_tmp = {folder}/tmp\n"
            + (f"strategy = {strategy}\nstrategy_plugins = {plugins}\n" if strategy else "")
            + f"[ssh_connection]\npipelining = True\ncontrol_path_dir = {folder}/cp\n"
        )
        arguments = f"-o UserKnownHostsFile={farm.known_hosts} -o GlobalKnownHostsFile=/dev/null -o IdentityAgent=none"
        variables = {
            "ansible_user": farm.user, "ansible_port": farm.port, "ansible_ssh_private_key_file": str(farm.key),
            "ansible_ssh_common_args": arguments, "ansible_python_interpreter": "/usr/bin/python3",
        }  # fmt: skip
        inventory = {"all": {"hosts": {host: {} for host in bench.hosts}, "vars": variables}}
        (folder / "hosts.yml").write_text(json.dumps(inventory))
        tasks = [{"command": "echo ok", "changed_when": False}] * bench.commands
        (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        config = f"ANSIBLE_CONFIG={folder}/ansible.cfg"
        return ["env", config, str(tools / "ansible-playbook"), "-i", f"{folder}/hosts.yml", f"{folder}/play.yml"]

    return command


PROBE, ACT, LOOKS, CHANGES = "hisauto, probes", "hisauto, acts", "hisauto, run of looks", "hisauto, run of changes"
LIBSSH2, PYINFRA, MUX = "libssh2 + shell", "pyinfra", "OpenSSH ControlMaster"
ANSIBLE, MITOGEN = "ansible-core, pipelining", "ansible-core, Mitogen"
PEERS = (
    Peer(PROBE, ours("probe")),
    Peer(ACT, ours("act")),
    Peer(LOOKS, ours("looks")),
    Peer(CHANGES, ours("changes")),
    Peer(LIBSSH2, libssh2, "libssh2", ("ssh2-python",)),
    Peer(MUX, mux),
    Peer(PYINFRA, pyinfra, "pyinfra", ("pyinfra",)),
    Peer(ANSIBLE, ansible(), "ansible", ("ansible-core>=2.19,<2.20", "mitogen==0.3.54")),
    Peer(MITOGEN, ansible("mitogen_linear"), "ansible", ("ansible-core>=2.19,<2.20", "mitogen==0.3.54")),
)
SLOW = frozenset({ANSIBLE, MITOGEN})
