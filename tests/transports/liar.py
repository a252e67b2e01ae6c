"""A host that speaks the protocol and lies: what sshd starts there instead of a shell. ``python liar.py LIES``.

LIES is a file of JSON: function → the answer to its frame, ``T`` for its nonce; ``out`` and ``err`` say what comes
without end after it, on which stream. ``login`` is said before there is a shell.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HONEST = {"open": "T place boot.1.id\n", "settle": "T running\n", "bury": "T buried\n", "forget": "T forgotten\n",
          "end": "T ended\n", "tail": "T part 0 0\nT whole\n"}  # fmt: skip


def say(answer: str | dict[str, str], token: str) -> None:
    said = {"now": answer} if isinstance(answer, str) else answer
    sys.stdout.buffer.write(said.get("now", "").replace("T", token).encode())
    sys.stdout.buffer.flush()
    for stream, pipe in (("out", sys.stdout.buffer), ("err", sys.stderr.buffer)):
        while stream in said:
            pipe.write(said[stream].encode() * 4096)
    if said.get("then") == "ends":
        sys.exit(0)


def main() -> None:
    lies: dict[str, Any] = {**HONEST, **json.loads(Path(sys.argv[1]).read_text())}
    say(lies.get("login", ""), "")
    for line in sys.stdin.buffer:
        if ready := re.search(rb'echo "([0-9a-f]{24}) ready', line):
            token = ready[1].decode()
            say(lies.get("ready", "T ready 1 1\n"), token)
            sys.stderr.buffer.write(f"{token}\n".encode())
            sys.stderr.buffer.flush()
        elif frame := re.match(rb"hi_(\w+) ([0-9a-f]{24}) ", line):
            say(lies.get(frame[1].decode(), ""), frame[2].decode())


if __name__ == "__main__":
    main()
