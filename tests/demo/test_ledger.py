"""What the service acknowledged and the database has lost: told by ``app ledger``, or not told at all."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import lab
from lab import ledger
from lab.database import connect
from lab.errors import LabError

from .. import labs
from ..labs import Hospital

pytestmark = [pytest.mark.lab]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with labs.hospital(tmp_path_factory.mktemp("site")) as found:
        yield found


def register(hospital: Hospital) -> int:
    body = json.dumps({"patient": "a", "department": "b"}).encode()
    request = urllib.request.Request(f"{hospital.facts['urls']['app1']}/api/registrations", body)
    with urllib.request.urlopen(request, timeout=8) as answer:
        return int(json.loads(answer.read())["id"])


def told(hospital: Hospital) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hospital.on("app1", "app ledger"))
    return found


def test_what_is_missing_is_counted_and_measured(hospital: Hospital) -> None:
    numbers = [register(hospital) for _ in range(5)]
    before = told(hospital)
    assert before == {"acknowledged": before["acknowledged"], "missing": 0, "lost_seconds": 0.0}
    assert before["acknowledged"] >= 5
    with connect(hospital.facts["dsn"]["proxy"], 10) as connection:
        connection.execute("delete from registrations where id = %s", (numbers[-1],))
        one = told(hospital)
        assert one["missing"] == 1
        assert 0 < one["lost_seconds"] < 10, "one lost registration is never 0 s"
        connection.execute("delete from registrations where id = %s", (numbers[2],))
        two = told(hospital)
        assert two["missing"] == 2
        assert two["lost_seconds"] > one["lost_seconds"]
        connection.execute(
            "insert into registrations(id, patient, department, received_by) values (%s, 'other', 'x', 'y')",
            (numbers[2],),
        )
        assert told(hospital) == two, "the number was given out again: it is another registration"


def test_what_cannot_be_told_is_not(hospital: Hospital) -> None:
    register(hospital)
    hospital.on("db1", "pg stop")
    try:
        with pytest.raises(lab.LabError, match="it can't be told"):
            told(hospital)
    finally:
        hospital.on("db1", "pg start")
    hospital.on("app1", "cp ../log/registrations.jsonl ../log/kept; echo '{' >>../log/registrations.jsonl")
    try:
        with pytest.raises(lab.LabError, match="the ledger can't be read"):
            told(hospital)
    finally:
        hospital.on("app1", "cat ../log/kept >../log/registrations.jsonl; rm ../log/kept")
    told(hospital)


def test_a_standby_is_no_witness(hospital: Hospital, tmp_path: Path) -> None:
    ledger.Ledger(tmp_path / "ledger").note(1, datetime.now(UTC))
    with pytest.raises(LabError, match="standby"):
        ledger.compare(tmp_path / "ledger", hospital.facts["dsn"]["db2"])


def test_more_lost_than_the_recent_part_holds(hospital: Hospital, tmp_path: Path) -> None:
    writing = ledger.Ledger(tmp_path / "ledger")
    for n in range(ledger.RECENT // 60):
        writing.note(10**12 + n, datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(LabError, match="more is lost"):
        ledger.compare(tmp_path / "ledger", hospital.facts["dsn"]["proxy"])
