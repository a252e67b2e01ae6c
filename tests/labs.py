"""A lab hospital for tests: a copy of this repository's site in a temporary folder, with a lab of its own.

    @pytest.fixture(scope="session")
    def hospital(tmp_path_factory):
        with labs.hospital(tmp_path_factory.mktemp("site")) as found:
            yield found
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lab
from lab import layout, prereq
from lab.layout import Kind

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("hisauto.yml", "inventory/*.yml", "inventory/group_vars", "runbooks", "roles")


def copy_site(target: Path) -> Path:
    """The repository's site, without what a lab or a run has left in it."""
    for pattern in PARTS:
        for source in REPOSITORY.glob(pattern):
            copy = target / source.relative_to(REPOSITORY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, dirs_exist_ok=True)
            else:
                shutil.copy(source, copy)
    return target


def skip_unless_possible(kind: Kind = "processes") -> None:
    """Skip the test, with the reason, where the machine can't carry such a lab; fail where it is demanded."""
    if prereq.demanded() != kind:
        if packages := prereq.missing(kind):
            pytest.skip(f"a lab of {kind} needs Debian's {', '.join(packages)}")
        if kind == "machines" and (found := prereq.obstacles()):
            pytest.skip(f"no lab of machines here: {'; '.join(found)}")
    prereq.check(kind)


def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Poll until it holds; fail the test if it doesn't in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


@dataclass
class Hospital:
    """A site and its lab."""

    site: Path

    @property
    def facts(self) -> dict[str, Any]:
        """``.hisauto/lab.json`` as it is now."""
        found: dict[str, Any] = json.loads((self.site / ".hisauto/lab.json").read_text())
        return found

    @property
    def folder(self) -> Path:
        return layout.folder_of(self.site)

    def address(self, host: str) -> str:
        return str(self.facts["hosts"][host])

    def on(self, host: str, command: str) -> str:
        """What a shell command on a host prints. Raises LabError if it fails."""
        return lab.on_host(self.site, host, command)

    def power(self, host: str, verb: str) -> tuple[int, str]:
        """Exit code and answer of the power controller."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", REPOSITORY / "lab/power.py", "--lab", self.folder, "--host", host, verb],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.strip()

    def reach(self, host: str, port: int, seconds: float = 1.0) -> str:
        """How the host meets a new connection: ``accepted``, ``refused`` or ``silent``."""
        try:
            socket.create_connection((self.address(host), port), seconds).close()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
        except OSError as error:  # on one's own network a dark host is noticed
            return "silent" if error.errno == errno.EHOSTUNREACH else str(error)
        return "accepted"


@contextlib.contextmanager
def hospital(target: Path, kind: Kind = "processes") -> Iterator[Hospital]:
    """A hospital that is up, and gone without a trace afterwards."""
    skip_unless_possible(kind)
    found = Hospital(copy_site(target))
    try:
        lab.up(found.site, kind=kind)
        yield found
    finally:
        lab.down(found.site, purge=True)
