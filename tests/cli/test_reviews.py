"""A broken glass leaves a dated debt, and only two others can settle it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from hisauto.app import App
from hisauto.reviews import reviews
from hisauto.store.schema import decisions

from .conftest import TestSite

WHY = ("--reason", "the wards were waiting", "--yes")


def test_a_broken_glass_stays_due_until_two_others_have_said_what_they_found(site: TestSite, tmp_path: Path) -> None:
    settings = json.loads((site.root / "hisauto.yml").read_text())
    settings["people"]["nobody"] = {"roles": ["dba"], "keys": [(site.keys / "nobody.pub").read_text().strip()]}
    settings["may"]["decide"] = ["dba", "duty", "operator"]
    (site.root / "hisauto.yml").write_text(json.dumps(settings))
    assert site.json("reviews") == []
    asked = ("run", "hello", "-p", f"folder={tmp_path}", "--incident", "INC-7", "--level", "1", "--yes", "--no-watch")
    run = json.loads(site.invoke(*asked, "--json", who="op-1").stdout)["id"]
    site.waiting(run, "gate")
    broken = site.invoke("approve", run, "--break-glass", *WHY, who="duty-1")
    assert broken.exit_code == 0, broken.output
    assert site.ended(run)["state"] == "succeeded"

    due = site.invoke("reviews")
    assert due.exit_code == 0 and run in due.stdout and "due" in due.stdout and "duty-1" in due.stdout, due.output
    for person in ("duty-1", "op-1"):
        refused = site.invoke("review", run, "justified", *WHY, who=person)
        assert (refused.exit_code, "two others have to" in refused.output) == (3, True), refused.output
    assert site.invoke("review", run, "justified", *WHY, who="dba-1").exit_code == 0
    again = site.invoke("review", run, "justified", *WHY, who="dba-1")
    assert "had said justified already" in again.output
    assert site.invoke("review", run, "unjustified", *WHY, who="dba-1").exit_code == 3, "no word is taken back"
    forge(site, run, "lead-9")
    (half,) = site.json("reviews")
    assert [(said["person"], said["finding"]) for said in half["said"]] == [("dba-1", "justified")]
    assert [void["person"] for void in half["void"]] == ["lead-9"], "a row is no word"
    (one,) = reviews(App(site.root))
    assert (one.state(one.due - timedelta(seconds=1)), one.state(one.due)) == ("due", "overdue")
    assert timedelta(hours=23) < one.due - one.run.created_at <= timedelta(hours=25)

    assert site.invoke("review", run, "unjustified", *WHY, who="nobody").exit_code == 0
    assert site.json("reviews") == []
    (done,) = json.loads(site.invoke("reviews", "--all", "--json").stdout)
    assert done["state"] == "done" and len(done["said"]) == 2
    assert "dba-1: justified, nobody: unjustified" in site.invoke("reviews", "--all").output
    seen = site.invoke("audit", "verify")
    assert (seen.exit_code, seen.output.count("lead-9")) == (4, 1), "and it is named as a row that the log lacks"
    none = site.invoke("review", site.started("fails", f"flag={site.root}"), "justified", *WHY, who="dba-1")
    assert none.exit_code == 2 and "no review is due" in none.output


def forge(site: TestSite, run: str, person: str) -> None:
    """A second reviewer by hand: dba-1's word under another name."""
    store = App(site.root).store
    with store.engine.begin() as connection:
        row = connection.execute(
            sa.select(decisions).where(decisions.c.run == run, decisions.c.question.startswith("review:"))
        ).one()
        connection.execute(decisions.insert().values(**{**row._mapping, "person": person}))
    store.close()
