"""One node to a state folder: two on one SQLite file would both believe they recover each other's runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hisauto.errors import Refused


@contextmanager
def node_lock(state_dir: Path) -> Iterator[None]:
    """Hold ``node.lock`` of a state folder. The kernel frees it when its process ends, however it ends.

    Raises ``Refused``, naming the process that holds it.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never unlinked: who waits on a removed file and who creates it anew would both hold "the" lock.
    handle = os.open(state_dir / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            raise Refused(
                f"a node already works on {state_dir}: process {holder or 'unknown'}",
                hint="one node per SQLite file; for more, use PostgreSQL",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
