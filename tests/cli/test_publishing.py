"""``audit status`` and ``audit publish`` with real places: a host behind sshd, a syslog server, one that is away."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hisauto.audit.published import notes

from ..transports.places import Sshd, free_port, start_sshd, stop_sshd
from .conftest import TestSite
from .test_runs import said


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = start_sshd(tmp_path / "sshd")
    yield server
    stop_sshd(server)


def publish_to(site: TestSite, *places: object, sshd: Sshd | None = None) -> None:
    settings = json.loads((site.root / "hisauto.yml").read_text())
    settings["audit"] = {"publish": places}
    if sshd is not None:
        settings["ssh"] |= {"known_hosts": str(sshd.known_hosts), "keys": [str(sshd.key)]}
        hosts = {"all": {"hosts": {"log1": sshd.vars}}}
        (site.root / "inventory" / "hosts.yml").write_text(json.dumps(hosts))
    (site.root / "hisauto.yml").write_text(json.dumps(settings))


def entry(site: TestSite) -> None:
    """Something that happens, by which the log grows."""
    site.ended(site.started("fails", f"flag={site.root}/hisauto.yml"))
    site.end_node()


def test_a_run_is_published_on_another_host(site: TestSite, sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "log1-checkpoints"
    publish_to(site, {"host": "log1", "file": str(file)}, sshd=sshd)
    entry(site)
    status = site.json("audit", "status")
    assert [(one["place"], one["size"]) for one in status["places"]] == [(f"log1:{file}", status["size"])]
    assert f"log1:{file}: published up to the first {status['size']}" in said(site.invoke("audit", "status"))
    assert len(notes(file.read_text())) >= 1
    assert "anchored by a published checkpoint: all" in said(site.invoke("audit", "verify"))
    stop_sshd(sshd)
    away = site.invoke("audit", "verify")
    assert "does not count here: log1" in away.stderr and "the first 0" in away.stdout


def test_a_place_that_is_away_is_shown_and_stops_no_run(site: TestSite, sshd: Sshd, tmp_path: Path) -> None:
    stop_sshd(sshd)
    file = site.root / "checkpoints"
    publish_to(site, {"host": "log1", "file": str(tmp_path / "there")}, "checkpoints", sshd=sshd)
    entry(site)
    shown = site.invoke("audit", "publish")
    assert shown.exit_code == 1
    assert f"log1:{tmp_path}/there: NOT PUBLISHED beyond the first 0, since " in shown.stdout
    assert "no connection: Connection refused" in shown.stdout
    size = site.json("audit", "status")["size"]
    assert f"checkpoints: published up to the first {size}" in shown.stdout
    before = notes(file.read_text())

    again = start_sshd(tmp_path / "sshd")
    try:
        publish_to(site, {"host": "log1", "file": str(tmp_path / "there")}, "checkpoints", sshd=again)
        assert site.invoke("audit", "publish").exit_code == 0
        assert notes((tmp_path / "there").read_text()) == before, "all of them, though they are late"
    finally:
        stop_sshd(again)


def test_syslog_gets_them_and_its_file_verifies(site: TestSite, tmp_path: Path) -> None:
    stream: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while piece := connection.recv(4096):
                        stream.append(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        publish_to(site, {"syslog": f"tcp://127.0.0.1:{listener.getsockname()[1]}"})
        entry(site)
        assert site.invoke("audit", "publish").exit_code == 0
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    (tmp_path / "messages").write_bytes(b"".join(stream).replace(b"<109>", b"\n<109>"))
    whole = said(site.invoke("audit", "verify", "--published", str(tmp_path / "messages")))
    assert "anchored by a published checkpoint: all" in whole


def test_what_is_only_sent_is_not_called_published(site: TestSite) -> None:
    publish_to(site, {"syslog": f"udp://127.0.0.1:{free_port()}"})
    assert "0 entries" in said(site.invoke("audit", "status"))
    entry(site)
    assert "nobody can tell from here whether it arrived" in said(site.invoke("audit", "publish"))
