"""Whole runs from the command line: a real node process, real signatures, steps that run on the node itself."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hisauto.cli.nodes import is_working
from tests.cli.conftest import PATIENCE, TestSite


def said(result: Any) -> str:
    assert result.exit_code == 0, result.output
    text: str = result.stdout
    return text


def test_a_run_is_asked_for_approved_and_proven(site: TestSite) -> None:
    watcher = site.start("run", "hello", "-p", f"folder={site.root}", "--yes", "--incident", "INC-7", "--level", "1",
                         "--reason", "to try it", "--reported", "00:00", who="op-1")  # fmt: skip
    (view,) = site.until(lambda: [v for v in site.json("runs", "--open") if v["question"]])
    run = view["id"]
    assert view["answers"][0] == f"hisauto approve {run}"
    card = said(site.invoke("approve", "--yes", who="dba-1"))
    for words in ("Write into it?", "folder", view["digest"], "still needed: 1 of dba, 1 of duty", "1 of dba"):
        assert words in card
    assert "had said yes already" in said(site.invoke("approve", run[-4:], "--yes", who="dba-1"))
    asker = site.invoke("approve", "--yes", "--as", "op-1", "--key", str(site.keys / "op-1"))
    assert asker.exit_code == 3 and "op-1 is none of dba, duty" in asker.stderr
    other = site.invoke("approve", run, "another", "--yes", who="duty-1")
    assert other.exit_code == 2 and "does not wait at another" in other.stderr
    assert "dba-1 yes" in said(site.invoke("approve", run, "gate:1", "--yes", who="duty-1"))
    out, err = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 0, out + err
    assert f"run {run}" in err and (site.root / "hello").exists()

    events = [line for line in out.splitlines() if f" {run} " in line and line[:4].isdigit()]
    kinds = [line.split(" ")[2] for line in events]
    assert kinds[0] == "run.requested" and kinds.count("run.ended") == 1 and kinds.count("decision") == 2
    assert f"{run} output 3#1 out: onetwo" in out and "\x1b" not in out

    shown = site.invoke("show", run)
    assert shown.exit_code == 0
    for words in ("SUCCEEDED", "INC-7 level 1", "to try it", "Write", "granted", "promised 5m00s"):
        assert words in shown.stdout, shown.stdout
    assert site.json("show", run)["summary"]["rto"]["promised"] == 300.0
    assert said(site.invoke("watch", run)).count("run.ended") == 1
    lines = [json.loads(line) for line in said(site.invoke("watch", run, "--json")).splitlines()]
    assert [x["kind"] for x in lines if x["kind"] != "output"][: len(kinds)] == kinds
    late = site.invoke("cancel", run, "--reason", "late", "--yes", who="op-1")
    assert late.exit_code == 3 and "has ended" in late.stderr
    assert site.invoke("approve", run, "--yes", who="dba-1").exit_code == 2
    assert site.log().count("works on tiny") == 1  # everybody found the node that was there


def test_a_run_that_reads_an_answer_still_counts_as_the_one_that_asks(site: TestSite) -> None:
    run = site.started("hello", f"folder={site.root}")
    site.waiting(run, "gate")
    site.end_node()

    def row(state: str, question: str | None) -> str:
        with contextlib.closing(sqlite3.connect(site.root / ".hisauto" / "hisauto.db", timeout=PATIENCE)) as db, db:
            (before,) = db.execute("SELECT question FROM runs WHERE id = ?", (run,)).fetchone()
            db.execute("UPDATE runs SET state = ?, question = ? WHERE id = ?", (state, question, run))
        return str(before)

    asked = row("running", None)
    back = threading.Timer(0.7, row, ("waiting", asked))
    back.start()
    try:
        assert "Write into it?" in said(site.invoke("approve", "--yes", who="dba-1"))
    finally:
        back.join()


def test_a_no_ends_it(site: TestSite) -> None:
    run = site.started("hello", f"folder={site.root}")
    site.waiting(run, "gate")
    assert "dba-1 said no" in said(site.invoke("reject", run, "--reason", "not now", "--yes", who="dba-1"))
    assert site.ended(run)["state"] == "rejected"
    shown = site.invoke("show")  # none is open: the last one
    assert shown.exit_code == 12 and "REJECTED" in shown.stdout and "dba-1 said no" in shown.stdout
    assert site.invoke("watch", run).exit_code == 12


def test_the_glass_is_broken_only_for_an_incident_of_level_1(site: TestSite) -> None:
    run = site.started("hello", f"folder={site.root}")
    site.waiting(run, "gate")
    refused = site.invoke("approve", run, "--break-glass", "--reason", "alone", "--yes", who="dba-1")
    assert refused.exit_code == 3 and "the glass can't be broken" in refused.stderr
    assert said(site.invoke("cancel", run, "--reason", "no more", "--yes", who="op-1"))
    assert site.ended(run)["state"] == "cancelled"
    assert site.invoke("show", run).exit_code == 17
    started = site.invoke("run", "hello", "-p", f"folder={site.root}", "-y", "--no-watch", "--incident", "INC-7",
                          "--level", "1", who="op-1")  # fmt: skip
    assert started.exit_code == 20
    run = started.stdout.split()[-1]
    site.waiting(run, "gate")
    said(site.invoke("approve", run, "--break-glass", "--reason", "alone", "--yes", who="dba-1"))
    assert site.ended(run)["state"] == "succeeded"
    assert "a review by 2 people is due" in site.invoke("show", run).stdout


def test_a_failed_step_asks(site: TestSite) -> None:
    flag = site.root / "flag"
    run = site.started("fails", f"flag={flag}")
    view = site.waiting(run, "ask")
    assert view["answers"][0].startswith(f"hisauto decide {run} ") and view["answers"][0].endswith(" again")
    shown = site.invoke("show", run)
    assert shown.exit_code == 20 and "A STEP FAILED" in shown.stdout and "hisauto decide" in shown.stdout
    for step, answer, who, code, words in (
        ("9", "again", "dba-1", 2, "does not ask about 9"),
        ("1", "done", "dba-1", 2, "'done' is no answer here"),
        ("1", "again", "duty-1", 3, "duty-1 may not decide"),
    ):
        wrong = site.invoke("decide", run, step, answer, "--yes", who=who)
        assert wrong.exit_code == code and words in wrong.stderr
    flag.touch()
    said(site.invoke("decide", run, "1", "again", "--yes", who="dba-1"))
    assert site.ended(run)["state"] == "succeeded"


def test_a_failed_step_left_so(site: TestSite) -> None:
    run = site.started("fails", f"flag={site.root}/flag")
    site.waiting(run, "ask")
    said(site.invoke("decide", "-", "1", "stop", "--yes", who="dba-1"))
    assert site.ended(run)["state"] == "failed"
    assert site.invoke("show", run).exit_code == 14


def test_ctrl_c_ends_the_watching_and_not_the_run(site: TestSite) -> None:
    run = site.started("sleeps")
    watcher = site.start("watch", run)
    assert watcher.stdout is not None
    lines: list[str] = []
    while "round 1" not in (line := watcher.stdout.readline()):
        assert line, lines
        lines.append(line)
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 20, err
    assert f"{run} goes on. To watch it again: hisauto watch {run}" in err and "Traceback" not in err
    assert site.json("show", run)["state"] == "running"
    said(site.invoke("cancel", run, "--reason", "enough", "--yes", who="op-1"))
    site.ended(run)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: our end, and the command's."""
    outer, inner = pty.openpty()
    yield outer, inner
    for end in (outer, inner):
        with contextlib.suppress(OSError):
            os.close(end)


def heard(outer: int, words: bytes) -> bytes:
    """What the terminal showed up to these words."""
    seen, deadline = b"", time.monotonic() + PATIENCE
    while words not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([outer], [], [], 0.2)[0]:
            seen += os.read(outer, 65536)
    return seen


def interrupted(process: subprocess.Popen[str]) -> int:
    """Its exit code after Ctrl-C; pressed again, as one does, if Python missed it on its way from prompt to reading."""
    for _ in range(int(PATIENCE)):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(1)
    process.kill()
    raise AssertionError("Ctrl-C was never heard")


def test_on_a_terminal_one_is_asked(site: TestSite, terminal: tuple[int, int]) -> None:
    run = site.started("hello", f"folder={site.root}")
    site.waiting(run, "gate")
    outer, inner = terminal
    for answer, code, words in ((b"n\n", 1, b"nothing was done"), (b"y\n", 0, b"dba-1 said yes")):
        process = site.start("approve", "--no-color", who="dba-1", stdin=inner, stdout=inner, stderr=inner)
        shown = heard(outer, b"Say yes as dba-1? [y/N]")
        assert b"Write into it?" in shown and not re.search(rb"\x1b\[[0-9;]*3[0-7]", shown)
        os.write(outer, answer)
        heard(outer, words)
        assert process.wait(PATIENCE) == code
    assert [d["person"] for d in site.json("show", run)["decisions"]] == ["dba-1"]
    process = site.start("cancel", run, "--reason", "enough", who="op-1", stdin=inner, stdout=inner, stderr=inner)
    heard(outer, b"[y/N]")
    assert interrupted(process) == 130
    said(site.invoke("cancel", run, "--reason", "enough", "--yes", who="op-1"))
    site.ended(run)


def test_the_screen_on_a_terminal(site: TestSite, terminal: tuple[int, int]) -> None:
    """It says what is at work; Ctrl-C ends it, and the terminal is left as it was."""
    run = site.started("sleeps")
    outer, inner = terminal
    site.env |= {"TERM": "xterm-256color", "LINES": "40"}
    process = site.start("watch", run, stdin=inner, stdout=inner, stderr=inner)
    seen = heard(outer, b"round 1")
    process.send_signal(signal.SIGINT)
    text = (seen + heard(outer, b"To watch it again")).decode()
    assert process.wait(PATIENCE) == 20
    for words in ("NOW  Sleep", "has no undo", "time-out 1h00m", "RUNNING", "goes on. To watch it again"):
        assert words in text, text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    said(site.invoke("cancel", run, "--reason", "enough", "--yes", who="op-1"))
    site.ended(run)


def test_a_dead_node_is_replaced_by_who_watches(site: TestSite) -> None:
    run = site.started("hello", f"folder={site.root}")
    site.waiting(run, "gate")
    first = site.node()
    site.end_node(signal.SIGKILL)
    watcher = site.start("watch", run)
    second = site.until(lambda: is_working(site.root / ".hisauto") and site.node())
    assert second != first
    for who in ("dba-1", "duty-1"):
        said(site.invoke("approve", run, "--yes", who=who))
    out, err = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 0, out + err


def test_two_nodes_on_one_file_are_refused(site: TestSite) -> None:
    first = site.start("node")
    site.until(lambda: is_working(site.root / ".hisauto"))
    second = site.invoke("node", "--idle", "1")
    assert second.exit_code == 3
    assert f"a node already works on {site.root}/.hisauto: process {first.pid}" in second.stderr
    first.terminate()
    _, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0 and "Traceback" not in err


def test_an_idle_node_ends(site: TestSite) -> None:
    node = site.start("node", "--idle", "0.2")
    _, err = node.communicate(timeout=PATIENCE)
    assert node.returncode == 0 and "works on tiny" in err


def test_the_nodes_log_is_private(site: TestSite) -> None:
    site.started("sleeps")
    assert (site.root / ".hisauto" / "node.log").stat().st_mode & 0o777 == 0o600
    for path in (site.root / ".hisauto").rglob("*"):
        assert not path.lstat().st_mode & 0o077 or path.is_symlink() or path.name == "node.pub", path
    said(site.invoke("cancel", "-", "--reason", "enough", "--yes", who="op-1"))


def test_the_log_is_exported_and_proven(site: TestSite, tmp_path: Path) -> None:
    run = site.started("fails", f"flag={site.root}/hisauto.yml")
    site.ended(run)
    site.end_node()
    whole = said(site.invoke("audit", "verify"))
    assert "nothing wrong was found" in whole and "anchored by a published checkpoint: all" in whole
    export, key = tmp_path / "log.jsonl", str(site.root / ".hisauto" / "node.pub")
    assert site.invoke("audit", "export", str(export)).exit_code == 0
    assert export.stat().st_mode & 0o777 == 0o600
    assert "not yet anchored" in said(site.invoke("audit", "verify", str(export), "--key", key))
    published = str(site.root / ".hisauto" / "audit" / "checkpoints")
    good = said(site.invoke("audit", "verify", str(export), "--key", key, "--published", published))
    assert "anchored by a published checkpoint: all" in good
    lines = export.read_bytes().splitlines(keepends=True)
    flipped = [*lines[:3], lines[3].replace(b"Z", b"z", 1), *lines[4:]]
    cut = [*lines[:-4], lines[-1]]
    swapped = [*lines[:2], lines[3], lines[2], *lines[4:]]
    for damaged in (flipped, cut, swapped):
        export.write_bytes(b"".join(damaged))
        found = site.invoke("audit", "verify", str(export), "--key", key, "--published", published)
        assert found.exit_code == 4 and "IT IS NOT WHAT IT SHOULD BE" in found.stdout
        report = site.json("audit", "verify", str(export), "--key", key)
        assert report["ok"] is False and report["findings"]


def test_an_edit_in_the_database_is_found(site: TestSite) -> None:
    site.ended(site.started("fails", f"flag={site.root}/hisauto.yml"))
    site.end_node()
    entries = [json.loads(line) for line in said(site.invoke("audit", "log", "--json")).splitlines()]
    assert [e["seq"] for e in entries] == list(range(len(entries)))
    with sqlite3.connect(site.root / ".hisauto" / "hisauto.db") as database:
        database.execute("UPDATE audit_entries SET raw = replace(raw, 'op-1', 'op-2') WHERE seq = 0")
    database.close()
    found = site.invoke("audit", "verify")
    assert found.exit_code == 4 and "published_root" in found.stdout


def test_a_forged_signature_counts_for_nothing(site: TestSite) -> None:
    """A row in the database is no proof: what dba-1 said is moved to duty-1, and the node doesn't believe it."""
    run = site.started("hello", f"folder={site.root}")
    site.waiting(run, "gate")
    said(site.invoke("approve", run, "--yes", who="dba-1"))
    with sqlite3.connect(site.root / ".hisauto" / "hisauto.db", timeout=20) as database:
        database.execute(
            "INSERT INTO decisions SELECT run, question, 'duty-1', answer, reason, replace(card, 'dba-1', 'duty-1'),"
            " signature, break_glass, at"
            " FROM decisions WHERE run = ?", (run,),
        )  # fmt: skip
        database.execute("UPDATE runs SET parked = 0 WHERE id = ?", (run,))
    database.close()
    site.until(lambda: "decision.refused" in said(site.invoke("audit", "log", run)))
    assert site.waiting(run, "gate")["state"] == "waiting"
    assert not (site.root / "hello").exists()
    said(site.invoke("cancel", run, "--reason", "enough", "--yes", who="op-1"))
    site.ended(run)


def test_a_plan_is_compared_with_the_one_that_was_approved(site: TestSite) -> None:
    run, given = site.started("hello", f"folder={site.root}"), ["hello", "-p", f"folder={site.root}"]
    site.waiting(run, "gate")
    same = site.invoke("plan", *given, "--diff", run[-4:])
    assert same.exit_code == 0 and same.stdout == f"the same plan as {run}: {site.json('show', run)['digest']}\n"
    other = site.invoke("plan", "hello", "-p", "folder=/tmp", "--diff", "last")
    assert other.exit_code == 1
    assert f"-folder: {site.root}" in other.stdout and "+folder: /tmp" in other.stdout
    book = site.root / "runbooks" / "hello.yml"
    book.write_text(book.read_text().replace("1.0.0", "1.1.0").replace("{dba: 1, duty: 1}", "{dba: 1}"))
    found = site.json("plan", *given, "--diff", run)
    assert (found["run"], found["same"], [d["part"] for d in found["differences"]]) == (run, False, ["runbook"])
    changed = [line for line in found["differences"][0]["lines"] if line[0] in "+-"][2:]
    assert changed == ["-version: 1.0.0", "+version: 1.1.0", "-      duty: 1"]
    wrong = site.invoke("plan", "sleeps", "--diff", run)
    assert wrong.exit_code == 2 and f"{run} is a run of hello" in wrong.stderr
    none = site.invoke("plan", "sleeps", "--diff", "last")
    assert none.exit_code == 2 and "no run of sleeps was taken so far" in none.stderr
    assert site.invoke("reject", run, "--reason", "enough", "--yes", who="dba-1").exit_code == 0
