"""The demo's site: a copy of this repository's, with a lab and a state of its own, and nothing left of the last demo.

Every process that the demo starts in it inherits a mark in its environment, so that the next demo finds what a killed
one has left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import proc
from lab.errors import LabError

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("hisauto.yml", "inventory/*.yml", "inventory/group_vars", "runbooks", "roles")
NOT_INHERITED = ("HISAUTO_DATABASE_URL", "HISAUTO_PERSON", "HISAUTO_KEY")
"""Of whoever runs the demo: it must not reach a real site's database, nor sign with a real person's key."""
SECONDS = 5.0


@dataclass(frozen=True)
class DemoSite:
    """The folder, and ``hisauto`` in it."""

    root: Path

    def command(self, *words: str) -> list[str]:
        """The argument vector of a ``hisauto`` command in this site."""
        return [sys.executable, "-m", "hisauto", "--site", str(self.root), *words]

    def shown(self, *words: str) -> str:
        """The same as a person in the repository's folder would type it."""
        program = Path(sys.executable).with_name("hisauto")
        return " ".join([_relative(program), "--site", _relative(self.root), *words])

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
        return {**kept, proc.MARK: str(self.root)}

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Begin a ``hisauto`` command."""
        return subprocess.Popen(self.command(*words), text=True, env=self.environment, **options)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A ``hisauto`` command and what it said; the caller looks at the exit code."""
        return subprocess.run(
            self.command(*words), text=True, capture_output=True, stdin=subprocess.DEVNULL, env=self.environment,
            check=False,
        )  # fmt: skip

    def end_processes(self) -> None:
        """End what runs in this site, be it a former demo's: asked first, then killed. Raises TimeoutError."""
        proc.send(proc.strays(self.root), signal.SIGTERM)
        deadline = time.monotonic() + SECONDS
        while proc.strays(self.root) and time.monotonic() < deadline:
            time.sleep(0.02)
        proc.sweep(self.root)

    def renew(self) -> None:
        """An empty state and fresh copies: an open run of a killed demo is gone with its database."""
        self.end_processes()
        try:
            for child in self.root.iterdir():
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child)
                elif child.name != "lock":
                    child.unlink()
            for pattern in PARTS:
                for source in REPOSITORY.glob(pattern):
                    copy = self.root / source.relative_to(REPOSITORY)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        except OSError as error:
            raise _unusable(self.root, error) from None


def _relative(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _unusable(root: Path, error: OSError) -> LabError:
    return LabError(
        f"the demo's folder {root} can't be used: {error.strerror or error}",
        hint="another user's demo? python -m lab.demo --site DIR uses another folder",
    )


@contextlib.contextmanager
def alone(root: Path) -> Iterator[DemoSite]:
    """The site, for one demo at a time. The kernel lets go however this process ends. Raises LabError."""
    if root.exists() and any(root.iterdir()) and not (root / "lock").exists():
        raise LabError(f"{root} is not empty, and no demo's folder", hint="name an empty folder, or one to be made")
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (root / "lock").open("a")
    except OSError as error:
        raise _unusable(root, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"another demo is at work in {root}", hint="wait for its end, or use --site DIR") from None
        yield DemoSite(root)
