"""The power controller of the lab, the stand-in for a BMC, and the line to each host's supervisor.

Runs alone, without the package or site-packages, so that a call takes some 50 ms:
``python -I -S power.py --lab DIR --host db1 status|on|off``.

``status`` prints ``on`` (a hung host has power), ``off`` or ``unknown``. ``off`` returns once the host is dark. The
exit code is not 0 when it couldn't be told or done.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any


def ask(lab: str, host: str, verb: str, timeout: float = 20.0) -> dict[str, Any]:
    """One verb to a host's supervisor, and its answer. ``timeout`` in seconds. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout)
        line.connect(os.path.join(lab, "sockets", host))  # noqa: PTH118 - pathlib would double the start time
        line.sendall(verb.encode())
        line.shutdown(socket.SHUT_WR)
        answer = json.loads(b"".join(iter(lambda: line.recv(65536), b"")))
    if not isinstance(answer, dict):
        raise ValueError("the supervisor's answer is not an object")
    return answer


def power(lab: str, host: str, verb: str) -> tuple[int, str]:
    """Exit code and what to print for ``status``, ``on`` or ``off``."""
    try:
        answer = ask(lab, host, {"status": "state", "on": "on", "off": "power-cut"}[verb])
    except (OSError, ValueError) as error:
        return 1, f"unknown\n{host}: no answer from the power supply in {lab}: {error}"
    if "error" in answer:
        return 1, f"unknown\n{host}: {answer['error']}"
    return 0, "off" if answer["state"] == "off" else "on"


def main(argv: list[str]) -> int:
    """``--lab DIR --host HOST VERB``, or ``VERB HOST --lab DIR``; prints the answer; causes go to standard error."""
    options, words, rest = {"--lab": "", "--host": ""}, list[str](), list(argv)
    while rest:
        word = rest.pop(0)
        if word in options and rest:
            options[word] = rest.pop(0)
        else:
            words.append(word)
    if not options["--host"] and len(words) == 2:
        options["--host"] = words.pop()
    if len(words) != 1 or words[0] not in ("status", "on", "off") or not all(options.values()):
        print("usage: power status|on|off HOST --lab DIR", file=sys.stderr)
        return 2
    code, text = power(options["--lab"], options["--host"], words[0])
    answer, _, cause = text.partition("\n")
    print(answer)
    if cause:
        print(cause, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
