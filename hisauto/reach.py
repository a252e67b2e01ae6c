"""Whether hosts answer, and as themselves: one real login and one real command each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hisauto.app import App
from hisauto.errors import HisautoError
from hisauto.model.transport import Script

FANOUT = 32
TIMEOUT = 10.0
"""Seconds for the command, once the host is reached."""


@dataclass(frozen=True)
class Reached:
    """One host's answer. ``why`` is empty when it answered."""

    host: str
    seconds: float
    why: str = ""


def reach(app: App, hosts: Sequence[str]) -> list[Reached]:
    """Ask all of them side by side; as long as the slowest takes."""
    app.transports  # noqa: B018 - made once, before the threads ask for it
    with ThreadPoolExecutor(min(FANOUT, len(hosts) or 1)) as pool:
        return list(pool.map(lambda host: _one(app, host), hosts))


def _one(app: App, host: str) -> Reached:
    began = time.monotonic()
    why = ""
    try:
        session = app.transports["ssh"].session(host, app.inventory.vars(host), "ping")
        try:
            done = session.probe(Script("exit 0\n", timeout=TIMEOUT))
        finally:
            session.close()
        if done.how != "exit" or done.rc != 0:
            why = f"it answered, but a command ended by {done.how} {done.rc}"
    except HisautoError as error:
        why = str(error)
    return Reached(host, time.monotonic() - began, why)
