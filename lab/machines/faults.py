"""What can be done to a machine of the lab, and undone: each fault as a script that root runs on the host itself.

``python -m lab.machines.faults`` prints the table that is in docs/lab.md.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from lab.errors import LabError
from lab.layout import Lab, Tool
from lab.machines import names, package
from lab.machines.command import run
from lab.machines.host import inside
from lab.power import ask

NODE = "node"
"""The peer that is this machine, on which hisauto runs."""
UNITS: dict[Tool, str] = {"pg": "postgresql@${cluster/\\//-}", "lb": "haproxy", "app": package.NAME, "repo": "nginx"}
RATE = "256kbit"


@dataclass(frozen=True)
class Fault:
    """One fault, in words and as a script. Without a script it is a verb of the host's power supply."""

    does: str
    heal: str
    script: str = ""
    tools: tuple[Tool, ...] = ()
    """The hosts it is for; empty: all."""
    peer: bool = False
    """Whether it is between two."""


EATER = """import os, sys, time
held = []
while os.path.exists("/proc/" + sys.argv[1]):
    held.append(b"1" * (4 << 20))
time.sleep(1e9)"""

OUT_OF_MEMORY = f"""
pid=$(systemctl show -P MainPID "$unit")
[ "$pid" != 0 ] || {{ echo "$unit does not run" >&2; exit 1; }}
echo 1000 >"/proc/$pid/oom_score_adj"
systemd-run -q --unit=fault-memory -p OOMScoreAdjust=-1000 python3 -c '{EATER}' "$pid"
for i in $(seq 600); do [ -e "/proc/$pid" ] || exit 0; sleep 0.05; done
echo "the kernel killed nothing" >&2
exit 1
"""
RULES = """
nft -f - <<NFT
add table inet fault
add chain inet fault heard { type filter hook input priority 0; }
add chain inet fault said { type filter hook output priority 0; }
NFT
"""
DEAF = f"{RULES}nft add rule inet fault heard ip saddr $peer drop\n"
MUTE = f"{RULES}nft add rule inet fault said ip daddr $peer drop\n"
FIREWALL = f"{RULES}nft add rule inet fault heard ip saddr $peer reject with tcp reset\n"
SLOW_LINE = f"tc qdisc replace dev host0 root tbf rate {RATE} burst 4kb latency 2s\n"
DISK_FULL = """
fallocate -l "$(($(df --output=avail -B1 / | tail -1) - (32 << 20)))" /var/fault.fill
for i in 1 2 3; do
  dd if=/dev/zero bs=4k status=none >>/var/fault.fill 2>/dev/null || true
  sync -f /var
done
if head -c 64k /dev/zero 2>/dev/null >/var/fault.more; then echo "there is room left" >&2; exit 1; fi
rm /var/fault.more
"""
CLOCK = """
mkdir -p "/run/systemd/system/$unit.service.d"
cat >"/run/systemd/system/$unit.service.d/fault.conf" <<CONF
[Service]
Environment=LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=-2h
CONF
systemctl daemon-reload
app restart
"""
CERTIFICATE = """
cd /etc/haproxy
[ -e site.pem.kept ] || cp -p site.pem site.pem.kept
LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=-400d \\
  openssl req -x509 -CA ca.crt -CAkey ca.key -key site.key -subj /CN=registration \\
  -addext "subjectAltName=IP:$address" -days 365 -out expired.crt
cat expired.crt site.key >site.pem
rm expired.crt
lb reload
"""
PACKAGE = f"""
apt-get -q update >/dev/null
apt-get -q -y install {package.NAME}={package.BAD} >/dev/null
app start
"""

PRELUDE = """\
set -e
. /opt/hospital/etc/lab.env
export DEBIAN_FRONTEND=noninteractive
"""
HEAL = f"""{PRELUDE}
if systemctl is-active -q fault-memory; then systemctl stop fault-memory; fi
rm -f /var/fault.fill /var/fault.more
if nft list table inet fault >/dev/null 2>&1; then nft delete table inet fault; fi
if tc qdisc show dev host0 | grep -q tbf; then tc qdisc del dev host0 root; fi
if [ -e /run/systemd/system/{package.NAME}.service.d/fault.conf ]; then
  rm -r /run/systemd/system/{package.NAME}.service.d
  systemctl daemon-reload
  app restart
fi
if [ -e /etc/haproxy/site.pem.kept ]; then
  mv /etc/haproxy/site.pem.kept /etc/haproxy/site.pem
  if lb status >/dev/null; then lb reload; fi
fi
if dpkg -s {package.NAME} 2>/dev/null | grep -qx 'Version: {package.BAD}'; then
  dpkg -i /var/cache/his/{package.NAME}_{package.GOOD}_all.deb >/dev/null 2>&1
  echo withdraw
fi
"""

FAULTS: dict[str, Fault] = {
    "power-cut": Fault("dark at once; what was not synced and all of `/run` is lost", "power on"),
    "hang": Fault("nothing runs, nothing answers; the kernel still shakes hands", "goes on where it stood"),
    "reboot": Fault("a clean restart by systemd; a new boot id, an empty `/run`", "waits for it", "systemctl reboot\n"),
    "service-kill": Fault("its main service is killed", "starts it, but never PostgreSQL"),
    "service-stop": Fault("its main service is stopped as planned", "starts it, but never PostgreSQL"),
    "out-of-memory": Fault(
        "memory is filled until the kernel kills the main service, and stays full", "frees it; starts the service",
        OUT_OF_MEMORY, ("pg", "lb", "app", "repo"),
    ),
    "partition": Fault("it and PEER hear nothing of each other", "they do", DEAF + MUTE, peer=True),
    "deaf": Fault("it hears nothing of PEER, who hears it: a partition one way", "it does", DEAF, peer=True),
    "mute": Fault("PEER hears nothing of it, whom it hears: the other way", "PEER does", MUTE, peer=True),
    "firewall": Fault("something before it refuses each connection of PEER, in its name", "it gets them", FIREWALL,
                      peer=True),
    "slow-line": Fault(f"its line carries {RATE} each way, by a queue of two seconds", "as fast as before", SLOW_LINE),
    "disk-full": Fault("its disk is full", "the room is there again", DISK_FULL),
    "clock": Fault("the registration service restarts, two hours late by its clock; no other clock changes",
                   "it restarts with the right time", CLOCK, ("app",)),
    "expired-certificate": Fault("the proxy's certificate ended 35 days ago", "the valid one serves", CERTIFICATE,
                                 ("lb",)),
    "bad-package": Fault(
        f"version {package.BAD} of the registration service is published and installed; it can't reach the database",
        f"version {package.GOOD} is installed, the other withdrawn", PACKAGE, ("app",),
    ),
}  # fmt: skip


def table() -> str:
    """Of all faults, as docs/lab.md has it."""
    hosts = {"pg": "db1, db2", "lb": "lb1", "app": "app1–app3", "repo": "repo1"}
    rows = "".join(
        f"| `{name}`{' PEER' if fault.peer else ''} | {', '.join(hosts[tool] for tool in fault.tools) or 'all'} |"
        f" {fault.does} | {fault.heal} |\n"
        for name, fault in FAULTS.items()
    )
    return f"| fault | hosts | what happens | what `heal` does |\n|---|---|---|---|\n{rows}"


def inject(lab: Lab, name: str, host: str, peer: str | None) -> None:
    """Returns when it has happened. Raises LabError."""
    fault, tool = FAULTS[name], lab.hosts[host].tool
    if fault.tools and tool not in fault.tools:
        able = [other for other, machine in lab.hosts.items() if machine.tool in fault.tools]
        raise LabError(f"{name} is not for {host}", hint=f"hosts: {', '.join(able)}")
    if fault.peer is not (peer is not None):
        raise LabError(f"{name} takes {'a host and a peer' if fault.peer else 'no peer'}", hint=f"a host, or {NODE}")
    if peer is not None and peer not in (*lab.hosts, NODE):
        raise LabError(f"There is no host {peer!r} in the lab", hint=f"hosts: {', '.join(lab.hosts)}, {NODE}")
    if name == "bad-package":
        _publish(lab, bad=True)
    if name == "slow-line":
        run("tc", "qdisc", "replace", "dev", names.line(lab.folder, host), "root", "tbf", "rate", RATE, "burst", "4kb",
            "latency", "2s")  # fmt: skip
    before = _state(lab, host)["boots"]
    _on(lab, host, f"{PRELUDE}peer={_address(lab, peer)}\nunit={UNITS.get(tool, '')}\n{fault.script}")
    if name == "reboot":
        _wait(lab, host, before)


def heal(lab: Lab, host: str) -> None:
    """Undo whatever has been done to a host that runs. Raises LabError."""
    if "withdraw" in _on(lab, host, HEAL):
        _publish(lab, bad=False)
    line = names.line(lab.folder, host)
    if "tbf" in run("tc", "qdisc", "show", "dev", line):
        run("tc", "qdisc", "delete", "dev", line, "root")


def _publish(lab: Lab, *, bad: bool) -> None:
    """The bad package is in the repository, or not."""
    move = "mv held/*.deb pool/" if bad else f"mv pool/*_{package.BAD}_*.deb held/"
    _on(lab, "repo1", f"cd /srv/apt; {move} 2>/dev/null || true; exec repo index")


def _address(lab: Lab, peer: str | None) -> str:
    return "" if peer is None else f"{lab.prefix}.1" if peer == NODE else lab.address(peer)


def _state(lab: Lab, host: str) -> dict[str, object]:
    try:
        return ask(str(lab.folder), host, "state")
    except (OSError, ValueError) as error:
        raise LabError(f"{host}'s power supply does not answer: {error}") from None


def _on(lab: Lab, host: str, script: str) -> str:
    """What the script prints, run by root on the host, whatever its network does."""
    leader = _state(lab, host)["leader"]
    try:
        done = inside(leader if isinstance(leader, int) else None, "bash", "-c", script)
    except (RuntimeError, subprocess.SubprocessError) as error:
        raise LabError(f"{host}: {error}") from None
    if done.returncode != 0:
        raise LabError(f"{host}: {done.stderr.decode(errors='replace').strip()[-500:] or 'it did not work'}")
    return done.stdout.decode(errors="replace")


def _wait(lab: Lab, host: str, before: object, seconds: float = 60.0) -> None:
    """Until it boots again."""
    deadline = time.monotonic() + seconds
    while _state(lab, host)["boots"] == before:
        if time.monotonic() > deadline:
            raise LabError(f"{host} did not restart within {seconds:.0f} s")
        time.sleep(0.05)


if __name__ == "__main__":
    print(table(), end="")
