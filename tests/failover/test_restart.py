"""A rolling restart under load: nobody who registers notices, and a host that doesn't come up stops it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from .. import labs
from .scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@dataclass
class Visitors:
    """People who look at the page and register, through the proxy."""

    url: str
    served: int = 0
    failures: list[str] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)

    def visit(self) -> None:
        body = json.dumps({"patient": "p", "department": "d"}).encode()
        while not self.going.is_set():
            for path, data in (("/", None), ("/api/registrations", body)):
                try:
                    with urllib.request.urlopen(urllib.request.Request(self.url + path, data), timeout=12) as said:
                        said.read()
                    self.served += 1
                except OSError as error:  # URLError, HTTPError and time-outs are
                    self.failures.append(f"{path}: {error}")
            self.going.wait(0.02)


@contextlib.contextmanager
def visitors(scene: Scene, count: int = 3) -> Iterator[Visitors]:
    found = Visitors(scene.hospital.facts["urls"]["registration"])
    threads = [threading.Thread(target=found.visit) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        labs.until(lambda: found.served > 10)
        yield found
    finally:
        found.going.set()
        for thread in threads:
            thread.join()


def pids(scene: Scene) -> dict[str, str]:
    return {host: scene.hospital.on(host, "cat ../run/app.pid") for host in ("app1", "app2")}


def test_nobody_notices(play: Scene) -> None:
    before = pids(play)
    with visitors(play) as seen:
        run = play.ask("service-restart")
        play.succeeded(run)
        served = seen.served
        labs.until(lambda: seen.served > served + 10)
    assert seen.failures == []
    after = pids(play)
    assert [host for host in before if before[host] == after[host]] == []
    out, back = (play.attempts(run, name) for name in ("Out of service", "Back in service"))
    assert len(out) == len(back) == 2
    assert max(a.seq for a in play.attempts(run) if "[app1]" in a.path) < min(
        a.seq for a in play.attempts(run) if "[app2]" in a.path
    )
    play.nothing_left_behind(run)


def test_a_host_that_does_not_come_up_is_the_last(play: Scene) -> None:
    before = pids(play)
    play.hospital.on("app1", "echo python=/bin/false >> ../etc/lab.env")
    with visitors(play) as seen:
        run = play.ask("service-restart")
        assert play.ended(run).state == "failed", play.story(run)
        time.sleep(0.5)  # in which the one that is left serves alone
    assert seen.failures == []
    assert pids(play)["app2"] == before["app2"]
    assert not [a for a in play.attempts(run) if "[app2]" in a.path]
    assert not play.hospital.on("lb1", "haproxy-set his/app1").startswith("UP")
    play.nothing_left_behind(run)
