"""A command of this machine that has to succeed."""

from __future__ import annotations

import subprocess
from pathlib import Path


def run(*argv: str | Path, said: str = "") -> str:
    """What it prints; ``said`` is its input. Raises RuntimeError with what it complained of."""
    done = subprocess.run(argv, input=said, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr.strip()[-300:]}")
    return done.stdout
