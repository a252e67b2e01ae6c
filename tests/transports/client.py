"""A client process to be killed, stopped and thawed: reads orders as JSON lines, forks a client for each.

Not forked from the test itself: that one has threads. A client appends to its report ``place``, then ``answer``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from hisauto.errors import HisautoError
from hisauto.model.transport import Script
from hisauto.transports import shell
from hisauto.transports.keys import Keys
from hisauto.transports.local import LocalTransport
from hisauto.transports.ssh import SshTransport


def weaken(text: str) -> str:
    """The host's side without its safeguards, for the negative control: no lock, no claim, no epoch."""
    for safe, unsafe in (
        ("flock 9 ||", ": ||"),
        ('if [ -s "$d/pid" ]; then exec 9>&-; echo "$1 exists"; return; fi', ""),
        ('if [ -d "$d" ]; then mv "$d" "$D/void.$1"; fi', ""),
        ('{ mkdir "$d"', '{ mkdir -p "$d"'),
        ('[ "${seen:-0}" -gt "$3" ]', "false"),
    ):
        assert safe in text, safe
        text = text.replace(safe, unsafe)
    return text


def client(order: dict[str, Any]) -> None:
    if order["weak"]:
        shell.RECEIPTS = weaken(shell.RECEIPTS)
    transport: SshTransport | LocalTransport
    if order["kind"] == "local":
        transport = LocalTransport(base=order["base"])
    else:
        transport = SshTransport(
            known_hosts=[Path(order["known_hosts"])], keys=Keys([Path(order["key"])]), base=order["base"]
        )
    session = transport.session("host-1", order["vars"], order["run"])
    report = Path(order["report"])
    place = session.place()
    say(report, {"place": place})
    if order["freeze"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        receipt = session.act("step", order["epoch"], Script(order["script"]), place)
        say(report, {"answer": receipt.fate})
    except HisautoError as e:
        say(report, {"answer": type(e).__name__})
    if not order["freeze"]:
        signal.pause()  # it is there to be killed


def say(report: Path, what: dict[str, Any]) -> None:
    with report.open("a") as f:
        f.write(json.dumps(what) + "\n")


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            client(json.loads(line))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
