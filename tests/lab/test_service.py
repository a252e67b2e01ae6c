"""The registration service behind the proxy: what it answers, and when it says that it can't."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

import lab

from .. import labs
from ..labs import Hospital

pytestmark = pytest.mark.lab

PATH = "/api/registrations"


def call(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=8) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def register(url: str, **fields: Any) -> tuple[int, Any]:
    status, body = call(url + PATH, json.dumps(fields).encode())
    return status, json.loads(body)


def test_a_registration_is_written_and_read(hospital: Hospital) -> None:
    url = hospital.facts["urls"]["registration"]
    status, made = register(url, patient="甲 <b>", department="内科")
    assert status == 201
    status, body = call(f"{url}{PATH}/{made['id']}")
    assert (status, json.loads(body)) == (200, made)
    status, body = call(url + "/")
    assert status == 200
    assert "门急诊挂号" in body.decode() and "Registration" in body.decode()
    assert "甲 &lt;b&gt;" in body.decode()
    assert call(url + "/", b"patient=p&department=d")[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH, b"", 400),
        (PATH, b"[]", 400),
        (PATH, b"{", 400),
        (PATH, b"\xff", 400),
        (PATH, b'{"patient": "x"}', 400),
        (PATH, b'{"patient": "x", "department": 1}', 400),
        (PATH, b'{"patient": "x\\u0000", "department": "d"}', 400),
        (PATH, b"[" * 60_000, 400),
        (PATH, b"x" * 70_000, 400),
        ("/nix", b"{}", 404),
        ("/nix", None, 404),
        (PATH + "/999999999", None, 404),
        (PATH + "/x", None, 404),
        (PATH + "/" + "9" * 40, None, 404),
    ],
)
def test_what_is_no_request(hospital: Hospital, path: str, body: bytes | None, status: int) -> None:
    assert call(hospital.facts["urls"]["registration"] + path, body)[0] == status


def test_health_is_honest_and_the_service_recovers_by_itself(breakable: Hospital) -> None:
    url = breakable.facts["urls"]["app1"]
    assert call(url + "/health")[0] == 200
    lab.break_(breakable.site, "service-stop", "db1")
    assert call(url + "/health")[0] == 503
    assert register(url, patient="p", department="d")[0] == 503
    assert call(url + "/live")[0] == 200
    breakable.on("db1", "pg start")
    assert call(url + "/health")[0] == 200
    assert register(url, patient="p", department="d")[0] == 201
    lab.break_(breakable.site, "hang", "db1")
    assert call(url + "/health")[0] == 503
    lab.heal(breakable.site)
    labs.until(lambda: call(url + "/health")[0] == 200)


def test_a_database_that_can_only_be_read_is_not_healthy(hospital: Hospital) -> None:
    server = f"backend his_db\\n  mode tcp\\n  server db2 {hospital.address('db2')}:15432\\n"
    hospital.on("lb1", f"cp ../etc/his_db.cfg ../etc/kept; printf '{server}' > ../etc/his_db.cfg && lb reload")
    try:
        status, body = call(hospital.facts["urls"]["app1"] + "/health")
        assert (status, json.loads(body)) == (503, {"database": "read-only"})
    finally:
        hospital.on("lb1", "mv ../etc/kept ../etc/his_db.cfg; lb reload")


def test_a_drained_server_gets_nothing_and_stays_drained_over_a_reload(hospital: Hospital) -> None:
    url = hospital.facts["urls"]["registration"]

    def answering() -> set[str]:
        return {json.loads(call(url + "/live")[1])["name"] for _ in range(6)}

    labs.until(lambda: answering() == {"app1", "app2"})
    hospital.on("lb1", "haproxy-set his/app1 drain")
    assert answering() == {"app2"}
    hospital.on("lb1", "lb reload")
    assert hospital.on("lb1", "haproxy-set his/app1").startswith("DRAIN")
    assert answering() == {"app2"}
    hospital.on("lb1", "haproxy-set his/app1 ready")
    labs.until(lambda: answering() == {"app1", "app2"})
    with pytest.raises(lab.LabError, match="No such server"):
        hospital.on("lb1", "haproxy-set his/nix drain")


def test_a_restart_by_the_inventorys_commands(hospital: Hospital) -> None:
    before = hospital.on("app1", "cat ../run/app.pid")
    hospital.on("app1", "app stop && app stop && app start && app start")
    assert hospital.on("app1", "cat ../run/app.pid") != before
    assert call(hospital.facts["urls"]["app1"] + "/live")[0] == 200
