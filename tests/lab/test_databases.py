"""Failover and rejoin by the hosts' tools and the roles; what the writer's ledger and the watcher see of them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab import layout, watcher, writer
from lab.errors import LabError

from .. import labs
from ..labs import Hospital

pytestmark = pytest.mark.lab


@contextmanager
def observed(hospital: Hospital, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A write load through the proxy and a watcher of the databases; their records, closed at the end."""
    ledger, record = tmp_path / "ledger", tmp_path / "record"
    load = writer.start(hospital.facts["dsn"]["proxy"], ledger, rate=20)
    watch = watcher.start(hospital.facts["watch"], record)
    try:
        labs.until(lambda: len(ledger.read_text().splitlines()) > 20)
        labs.until(lambda: len(record.read_text().splitlines()) > 20)
        yield ledger, record
    finally:
        writer.stop(load)
        watcher.stop(watch)


def role(hospital: Hospital, name: str, hosts: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Apply one of the site's roles with Ansible."""
    play = hospital.site / f"{name}.yml"
    play.write_text(json.dumps([{"hosts": hosts, "gather_facts": False, "roles": [{"role": name}]}]))
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory/hospital.yml", play, *options],
        cwd=hospital.site,
        env={
            **os.environ,
            "HOME": str(hospital.site),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=2s",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def changed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.rsplit("changed=", 1)[1].split()[0])


def repoint(hospital: Hospital, to: str) -> None:
    """What the role haproxy_backend does, without the seconds that Ansible needs."""
    server = f"backend his_db\\n  mode tcp\\n  server {to} {hospital.address(to)}:{layout.PG_PORT}\\n"
    hospital.on("lb1", f"printf '{server}' > ../etc/his_db.cfg && lb reload")


def writing_again(hospital: Hospital, ledger: Path) -> None:
    before = writer.summary(ledger).acknowledged
    labs.until(lambda: writer.summary(ledger).acknowledged > before + 20)


@pytest.mark.timeout(300)  # Ansible on a busy machine
def test_failover_under_load_loses_nothing_and_the_old_primary_rejoins(breakable: Hospital, tmp_path: Path) -> None:
    with observed(breakable, tmp_path) as (ledger, record):
        began = time.monotonic()
        lab.break_(breakable.site, "power-cut", "db1")
        breakable.on("db2", "pg promote")
        repoint(breakable, "db2")
        writing_again(breakable, ledger)
        lasted = time.monotonic() - began
        lab.heal(breakable.site)
        assert "stopped" in breakable.on("db1", "pg status || true")

        done = role(breakable, "pg_standby", "db1", "-e", "source=db2", "--check")
        assert changed(done) > 0
        assert "down" in breakable.on("db1", "pg role"), "check mode changes nothing"
        assert changed(role(breakable, "pg_standby", "db1", "-e", "source=db2")) > 0
        assert changed(role(breakable, "pg_standby", "db1", "-e", "source=db2")) == 0
        assert breakable.on("db2", "pg lag").startswith("db1|streaming|sync|")
        writing_again(breakable, ledger)
    found = writer.summary(ledger)
    assert found.acknowledged > 40
    assert 0 < found.longest_gap < lasted
    assert writer.losses(ledger, breakable.facts["dsn"]["proxy"]) == []
    assert watcher.overlaps(record) == []
    assert [reign.host for reign in watcher.reigns(record)][:1] == ["db1"]
    assert {reign.host for reign in watcher.reigns(record)} == {"db1", "db2"}
    assert lab.up(breakable.site, kind="processes") is False, "healthy, whoever the primary is"

    done = role(breakable, "pg_standby", "db2", "-e", "source=db1")
    assert done.returncode != 0
    assert "db1 is standby, not a primary" in done.stdout


@pytest.mark.timeout(300)  # Ansible on a busy machine
def test_a_forced_double_primary_is_seen(breakable: Hospital, tmp_path: Path) -> None:
    """Hang, promote without a fence, thaw: the very thing that must never happen, so it must never go unseen."""
    with observed(breakable, tmp_path) as (_, record):
        lab.break_(breakable.site, "hang", "db1")
        breakable.on("db2", "pg promote")
        labs.until(lambda: watcher.reigns(record)[-1].host == "db2")
        assert watcher.overlaps(record) == []
        lab.heal(breakable.site, "db1")
        labs.until(lambda: bool(watcher.overlaps(record)))
        assert breakable.on("db1", "pg role") == breakable.on("db2", "pg role") == "primary"
        done = role(breakable, "pg_standby", "db1", "-e", "source=db2")
        assert done.returncode != 0
        assert "stop or fence it first" in done.stdout
    assert {reign.host for pair in watcher.overlaps(record) for reign in pair} == {"db1", "db2"}


def test_a_lost_row_is_found(hospital: Hospital, tmp_path: Path) -> None:
    """The proof that ``losses`` can find one: an acknowledged row is taken out."""
    dsn = hospital.facts["dsn"]["proxy"]
    with observed(hospital, tmp_path) as (ledger, _):
        pass
    victim = next(line["n"] for line in writer.lines(ledger) if line.get("ok"))
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from writes where n = %s", (victim,))
    assert writer.losses(ledger, dsn) == [victim]


def test_a_fence_holds_until_it_is_lifted(breakable: Hospital) -> None:
    breakable.on("db1", "pg fence")
    breakable.on("db1", "pg fence")
    assert breakable.reach("db1", layout.PG_PORT) == "refused"
    for attempt in ("pg start", "pg promote"):
        with pytest.raises(LabError, match="fenced"):
            breakable.on("db1", attempt)
    lab.break_(breakable.site, "power-cut", "db1")
    lab.heal(breakable.site)
    with pytest.raises(LabError, match="fenced"):
        breakable.on("db1", "pg start")
    assert breakable.on("db1", "pg unfence && pg start && pg role") == "primary"


def test_the_tools_refuse_what_would_destroy(hospital: Hospital) -> None:
    for host, command, why in [
        ("db1", "pg rewind db2", "db2 is not a primary"),
        ("db2", "pg rewind db2", "is this host"),
        ("db2", "pg clone db1", "runs here"),
        ("db1", "pg clone db2", "db2 is not a primary"),
    ]:
        with pytest.raises(LabError, match=why):
            hospital.on(host, command)
    assert hospital.on("db1", "pg promote; pg role") == "primary"


@pytest.mark.timeout(300)  # Ansible on a busy machine
def test_the_proxy_is_pointed_by_its_role(breakable: Hospital) -> None:
    def used() -> str:
        return breakable.on("lb1", "lb server his_db").split()[0]

    options = ("-e", "backend=db2")
    assert changed(role(breakable, "haproxy_backend", "db_proxy", *options, "--check")) == 2
    assert used() == "db1"
    with psycopg.connect(breakable.facts["dsn"]["proxy"], autocommit=True) as old:
        assert changed(role(breakable, "haproxy_backend", "db_proxy", *options)) == 2
        with pytest.raises(psycopg.OperationalError):
            old.execute("select 1")  # sessions to the old server are cut
    assert used() == "db2"
    assert changed(role(breakable, "haproxy_backend", "db_proxy", *options)) == 0

    server = f"backend his_db\\n  mode tcp\\n  server db1 {breakable.address('db1')}:{layout.PG_PORT}\\n"
    breakable.on("lb1", f"printf '{server}' > ../etc/his_db.cfg")  # as if cut between the file and the reload
    assert changed(role(breakable, "haproxy_backend", "db_proxy", "-e", "backend=db1")) == 1
    assert used() == "db1"
    done = role(breakable, "haproxy_backend", "db_proxy", "-e", "backend=nix")
    assert done.returncode != 0 and "nix is no host" in done.stdout


def note(record: Path, moments: list[tuple[str, float]]) -> Path:
    lines = [{"begin": 0.0}, *({"host": host, "at": at} for host, at in moments), {"end": 99.0}]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"host": "db1", "a')
    return record


def test_reigns_and_overlaps(tmp_path: Path) -> None:
    handover = note(tmp_path / "a", [("db1", 1.0), ("db1", 1.1), ("db2", 1.2), ("db2", 1.3)])
    assert watcher.overlaps(handover) == []
    back = note(tmp_path / "b", [("db1", 1.0), ("db1", 1.1), ("db2", 1.2), ("db1", 9.0)])
    assert watcher.overlaps(back) == []  # db1 reigned twice, not in between
    double = note(tmp_path / "c", [("db2", 1.0), ("db1", 1.05), ("db2", 1.1)])
    assert [(one.host, other.host) for one, other in watcher.overlaps(double)] == [("db2", "db1")]


moments = st.lists(st.integers(0, 2000).map(lambda n: n / 100), min_size=1, max_size=20).map(sorted)


@given(moments, moments)
def test_overlaps_are_found_whenever_one_writes_between_two_close_writes_of_the_other(
    tmp_path_factory: pytest.TempPathFactory, one: list[float], other: list[float]
) -> None:
    record = note(tmp_path_factory.getbasetemp() / "law", [*(("a", at) for at in one), *(("b", at) for at in other)])

    def between(these: list[float], those: list[float]) -> bool:
        pairs = [*itertools.pairwise(these), *((at, at) for at in these)]
        return any(x <= at <= y for x, y in pairs if y - x <= watcher.APART for at in those)

    assert bool(watcher.overlaps(record)) == (between(one, other) or between(other, one))


def test_summary_counts_a_gap_at_the_end(tmp_path: Path) -> None:
    good, bad = {"n": 1, "ok": True, "sent": 1.0, "at": 1.1}, {"n": 2, "ok": False, "sent": 2.0, "at": 5.0}
    lines = [{"wall": 1000.0}, good, bad, {"end": 6.0}]
    (tmp_path / "ledger").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = writer.summary(tmp_path / "ledger")
    assert (found.acknowledged, found.failed, found.gap_began) == (1, 1, 1001.1)
    assert found.longest_gap == pytest.approx(4.9)
