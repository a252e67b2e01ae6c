"""``power``: the site's own command, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hisauto.errors import UsageError
from hisauto.model.action import Place, Purpose

from .peers import ACTIONS, do

POWER = ACTIONS["power"]


@pytest.mark.parametrize("verb", ["on", "off", "status"])
def test_script(verb: str) -> None:
    place = Place("db1", {"power_command": ["/opt/bmc tool", "--host", "db1"]}, {})
    fields = POWER.fields.model_validate({"verb": verb})
    call = POWER.call(fields, place, "change")
    assert (call.script.text, call.on) == (f"exec '/opt/bmc tool' --host db1 {verb}\n", "node")
    assert POWER.changes(fields, "look") is POWER.changes(fields) is (verb != "status")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Place("db1", {}, {}), "no 'power_command' for db1"),
        (Place("db1", {"power_command": "bmc db1"}, {}), "power_command of db1 is not a list"),
        (Place("db1", {"power_command": ["bmc", 1]}, {}), "power_command of db1 is not a list"),
        (Place("db1", {"power_command": []}, {}), "power_command of db1 is not a list"),
        (Place(None, {}, {}), "needs a host"),
    ],
)
def test_what_is_missing(place: Place, message: str) -> None:
    with pytest.raises(UsageError, match=message) as e:
        POWER.call(POWER.fields.model_validate({"verb": "off"}), place, "change")
    assert e.value.hint


@pytest.mark.parametrize(
    ("answer", "verb", "purpose", "values"),
    [
        ("echo on", "status", "look", {"rc": 0, "state": "on"}),
        ("echo chatter; echo off", "status", "look", {"rc": 0, "state": "off"}),
        ("echo unknown", "status", "look", None),
        ("echo offline", "status", "look", None),
        (":", "status", "look", None),
        ("echo off; exit 1", "status", "look", None),
        ("exit 127", "status", "look", None),
        ("echo off", "off", "change", {"rc": 0, "state": "off"}),
        (":", "off", "change", {"rc": 0}),
        ("exit 1", "off", "change", None),
        ("exit 127", "off", "change", {"rc": 127}),
    ],
)
def test_read(answer: str, verb: str, purpose: Purpose, values: dict[str, object] | None, tmp_path: Path) -> None:
    tool = tmp_path / "bmc"
    tool.write_text(f"#!/bin/sh\n[ $# = 1 ] && [ $1 = {verb} ] || exit 9\n{answer}\n")
    tool.chmod(0o700)
    seen = do("power", verb, Place("db1", {"power_command": [str(tool)]}, {}), purpose)
    assert seen.known is (values is not None), seen.why
    assert dict(seen.values) == (values or {})
    assert seen.known or seen.why
