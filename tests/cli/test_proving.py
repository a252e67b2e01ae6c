"""``audit prove``, ``check-proof`` and ``archive`` as a user has them, on the log of a run that really was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hisauto import archiving

from .conftest import TestSite
from .test_runs import said


@pytest.fixture
def ran(site: TestSite) -> TestSite:
    """A site on which a run has ended."""
    site.ended(site.started("fails", f"flag={site.root}/hisauto.yml"))
    site.end_node()
    return site


def test_an_entry_is_proven_to_somebody_who_has_only_the_key(ran: TestSite, tmp_path: Path) -> None:
    proof, key = tmp_path / "3.tlog-proof", str(ran.root / ".hisauto" / "node.pub")
    proof.write_text(said(ran.invoke("audit", "prove", "3")))
    shown = said(ran.invoke("audit", "check-proof", str(proof), "--key", key, site=False))
    assert shown.splitlines()[0] == said(ran.invoke("audit", "log")).splitlines()[3]
    assert "proven: it is in the log tiny" in shown
    published = str(ran.root / ".hisauto" / "audit" / "checkpoints")
    assert ran.json("audit", "check-proof", str(proof), "--published", published)["anchored"] is True
    (tmp_path / "none").write_text("")
    missed = ran.invoke("audit", "check-proof", str(proof), "--published", str(tmp_path / "none"))
    assert missed.exit_code == 4 and "not among the published ones" in missed.stdout
    proof.write_text(proof.read_text().replace("index 3", "index 4"))
    wrong = ran.invoke("audit", "check-proof", str(proof), "--key", key)
    assert wrong.exit_code == 4 and "it is not proven: the proof is of entry 4, and this is entry 3" in wrong.stderr


def test_growth_is_proven_since_a_checkpoint_that_somebody_kept(ran: TestSite, tmp_path: Path) -> None:
    old, proof = tmp_path / "old", tmp_path / "grown"
    old.write_text((ran.root / ".hisauto" / "audit" / "checkpoints").read_text())
    ran.ended(ran.started("fails", f"flag={ran.root}/hisauto.yml"))
    ran.end_node()
    proof.write_text(said(ran.invoke("audit", "prove", "--since", str(old))))
    assert "proven" in said(ran.invoke("audit", "check-proof", str(proof), "--since", str(old)))
    lost = ran.invoke("audit", "check-proof", str(proof))
    assert lost.exit_code == 2 and "--since FILE" in lost.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["prove"], 2, "prove what?"),
        (["prove", "3", "--since", "hisauto.yml"], 2, "prove what?"),
        (["prove", "999"], 2, "there is no entry 999"),
        (["prove", "--since", "hisauto.yml"], 1, "holds no checkpoint"),
        (["check-proof", "hisauto.yml"], 1, "line 1 of the proof: expected"),
        (["archive", "--before", "soon"], 2, "expected a day like 2026-05-01"),
        (["archive", "--before", "2099-01-01"], 3, "6 months at least"),
        (["archive", "--before", "2020-01-01"], 3, "nothing to archive"),
    ],
)
def test_what_can_not_be_is_said(
    ran: TestSite, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(ran.root)
    result = ran.invoke("audit", *args)
    assert (result.exit_code, words in result.stderr) == (code, True), result.output


def test_old_entries_are_archived_and_the_log_goes_on(
    ran: TestSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = said(ran.invoke("audit", "log")).splitlines()
    monkeypatch.setattr(archiving, "MONTHS", -1)  # nobody waits here for six months
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    made = ran.json("audit", "archive", "--before", tomorrow)
    assert made["first"] == 0 and made["size"] == len(whole)
    ran.ended(ran.started("fails", f"flag={ran.root}/hisauto.yml"))
    ran.end_node()
    assert "nothing wrong was found" in (shown := said(ran.invoke("audit", "verify")))
    assert "NOT SEEN" not in shown and "anchored by a published checkpoint: all" in shown
    rest = ran.invoke("audit", "log")
    assert f"the entries before {made['size']} are in archives" in rest.stderr
    assert rest.stdout.splitlines()[0].split()[0] == str(made["size"])

    export = tmp_path / "rest.jsonl"
    assert ran.invoke("audit", "export", str(export)).exit_code == 0
    assert "nothing wrong was found" in said(ran.invoke("audit", "verify", made["file"], str(export)))
    alone = ran.json("audit", "verify", str(export))
    assert (alone["ok"], alone["begins"]) == (True, made["size"])
    assert ran.json("audit", "verify", str(export), made["file"])["findings"][0]["code"] == "gap"

    proof = tmp_path / "proof"
    for number in ("0", str(made["size"] + 1)):
        proof.write_text(said(ran.invoke("audit", "prove", number)))
        assert "proven" in said(ran.invoke("audit", "check-proof", str(proof)))
    Path(made["file"]).rename(tmp_path / "elsewhere")
    assert f"NOT SEEN: the first {made['size']}" in said(ran.invoke("audit", "verify"))
    assert said(ran.invoke("audit", "prove", str(made["size"]))), "what is here needs no archive"
    gone = ran.invoke("audit", "prove", "0")
    assert gone.exit_code == 2 and "in an archive that is not here" in gone.stderr
    assert json.loads(said(ran.invoke("audit", "status", "--json")))["begins"] == made["size"]
