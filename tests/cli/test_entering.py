"""What was done by hand is entered afterwards: signed, in the log, and never taken for a proof."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from hisauto.app import App
from hisauto.clock import stamp

from .conftest import TestSite

WORK = ("enter", "hello", "partly", "--began", "00:00", "--ended", "00:00:01", "--reason", "no power", "--yes")


def test_it_is_signed_and_in_the_log_and_no_run(site: TestSite, tmp_path: Path) -> None:
    assert "nothing was entered by hand" in site.invoke("entered").stderr
    (paper := tmp_path / "sheet.pdf").write_bytes(b"ticked")
    more = ("-p", "folder=/x", "--who", "dba-2", "--paper", str(paper), "--incident", "INC-7", "--level", "1")
    done = site.invoke(*WORK, *more, who="op-1")
    assert done.exit_code == 0 and "is in the log, as op-1 says it" in done.stdout, done.output
    (one,) = site.json("entered")
    kept = {"runbook": "hello", "version": "1.0.0", "params": {"folder": "/x"}, "people": ["dba-2"], "result": "partly",
            "paper": hashlib.sha256(b"ticked").hexdigest(), "incident": "INC-7", "level": 1, "reason": "no power",
            "entered_by": "op-1", "proven": False, "void": None}  # fmt: skip
    assert {name: one[name] for name in kept} == kept and one["began"] < one["ended"]
    shown = site.invoke("entered")
    assert shown.exit_code == 0 and "not proven" in shown.stderr and one["id"] in shown.stdout
    assert site.json("runs") == []
    (entry,) = [json.loads(line) for line in site.invoke("audit", "log", "--json").stdout.splitlines()]
    assert (entry["kind"], entry["actor"], entry["run"]) == ("entered", "op-1", None)
    assert site.invoke("audit", "verify").exit_code == 0
    assert site.invoke(*WORK, who="op-1").exit_code == 0
    assert [one["people"] for one in site.json("entered")] == [["dba-2"], ["op-1"]]


@pytest.mark.parametrize(
    ("words", "who", "code", "says"),
    [
        (WORK, "dba-1", 3, "may not run runbooks"),
        ((*WORK, "--incident", "INC-7"), "op-1", 2, "an incident has a level"),
        ((*WORK, "-p", "colour=red"), "op-1", 2, "no parameter 'colour'"),
        ((*WORK[:3], "--began", "00:00:01", "--ended", "00:00", *WORK[7:]), "op-1", 2, "before it ends"),
        ((*WORK[:4], "9999-01-01", *WORK[5:]), "op-1", 2, "still to come"),
        ((*WORK[:-1],), "op-1", 2, "no terminal"),
        (("enter", "hallo", *WORK[2:]), "op-1", 2, "no runbook 'hallo'"),
    ],
)
def test_what_can_not_be_entered(site: TestSite, words: tuple[str, ...], who: str, code: int, says: str) -> None:
    refused = site.invoke(*words, who=who)
    assert refused.exit_code == code and says in refused.stderr, refused.output
    assert site.json("entered") == []


def test_a_row_is_no_word(site: TestSite) -> None:
    """Somebody else's name under a signature, put into the log by hand."""
    assert site.invoke(*WORK, who="op-1").exit_code == 0
    with closing(sqlite3.connect(site.root / ".hisauto" / "hisauto.db")) as database, database:
        database.execute("UPDATE audit_entries SET raw = replace(raw, 'op-1', 'dba-1')")
    shown = site.invoke("entered")
    assert shown.exit_code == 4 and "not signed by dba-1" in shown.stderr
    assert site.invoke("audit", "verify").exit_code == 4


def test_a_key_that_was_revoked_since_says_nothing(site: TestSite) -> None:
    assert site.invoke(*WORK, who="op-1").exit_code == 0
    settings = json.loads((site.root / "hisauto.yml").read_text())
    (key,) = settings["people"]["op-1"]["keys"]
    gone = App(site.root).clock.now() - timedelta(days=1)
    settings["people"]["op-1"]["keys"] = [{"key": key, "revoked": stamp(gone)}]
    (site.root / "hisauto.yml").write_text(json.dumps(settings))
    (one,) = site.json("entered")
    assert "revoked" in one["void"]
