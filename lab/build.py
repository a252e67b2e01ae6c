"""Building and tearing down, inside: runs as the lab's user, from the copy of this package in the lab folder.

``python -m lab.build DIR up|down OPTIONS`` with JSON lines on standard output: ``{"progress": …}``, then
``{"done": …}`` or ``{"error": …, "hint": …}``. Ends, with all it started but the rack, when whoever called it dies.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol, cast

from hisauto.errors import HisautoError
from lab import proc
from lab.layout import Kind, Lab, Replication, load
from lab.making import describe, locked, progress, say, unhealthy


class Works(Protocol):
    """What a kind of lab brings: a module with these two."""

    def clear(self, folder: Path) -> None:
        """End whatever a lab left, in whatever state; keeps what the next ``build`` can use."""

    def build(self, folder: Path, replication: Replication) -> Lab:
        """From whatever there is to a healthy lab in its initial state."""


def works(kind: Kind) -> Works:
    return cast(Works, importlib.import_module({"processes": "lab.processes", "machines": "lab.machines.build"}[kind]))


def up(folder: Path, kind: Kind, replication: Replication, fresh: bool) -> dict[str, Any]:
    """A healthy lab; says whether it had to be built."""
    with locked(folder):
        lab = load(folder)
        why = "asked for a fresh one"
        if lab is not None and not fresh:
            why = "half-built" if not lab.complete else unhealthy(lab)
            if lab.replication != replication:
                why = f"replication is {lab.replication}"
            if not why:
                return describe(lab, built=False)
        if lab is not None:
            progress(f"building again: {why}")
        return describe(works(kind).build(folder, replication), built=True)


def down(folder: Path, kind: Kind, purge: bool) -> dict[str, Any]:
    """Nothing runs, nothing is left but, unless ``purge``, keys, code and what else the next ``up`` can use."""
    with locked(folder):
        works(kind).clear(folder)
        if purge:
            shutil.rmtree(folder)
    return {}


def main(argv: list[str]) -> int:
    """Run one order; see the module."""
    folder, options = Path(argv[0]), json.loads(argv[2])
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    proc.prctl(proc.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(options["caller"]):
        return 1  # it died before we could ask to be told
    os.umask(0o077)
    try:
        if argv[1] == "up":
            say(done=up(folder, options["kind"], options["replication"], options["fresh"]))
        else:
            say(done=down(folder, options["kind"], options["purge"]))
    except HisautoError as error:
        say(error=str(error), hint=error.hint)
        return 1
    except (OSError, subprocess.SubprocessError, TimeoutError) as error:
        say(error=f"{type(error).__name__}: {error}", hint=f"the lab's folder is {folder}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
