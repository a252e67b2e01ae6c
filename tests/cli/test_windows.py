"""A change outside of its window: what the plan shows, and that no way in starts it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hisauto.app import App
from hisauto.errors import Refused
from hisauto.site.windows import DAYS
from tests.cli.conftest import TestSite

CHANGE = """\
runbook: change
version: 1.0.0
title: Change something
kind: change
window: night
owner: dba
steps:
  - name: Only look
    command: "true"
    changes: no
"""


def calendar(site: TestSite, days_ahead: int) -> None:
    """A window of a whole day in UTC."""
    day = DAYS[(datetime.now(UTC) + timedelta(days=days_ahead)).weekday()]
    settings: dict[str, Any] = json.loads((site.root / "hisauto.yml").read_text())
    settings["windows"] = {"night": {"days": [day], "from": "00:00", "to": "24:00", "zone": "UTC"}}
    (site.root / "hisauto.yml").write_text(json.dumps(settings))
    (site.root / "runbooks" / "change.yml").write_text(CHANGE)


def test_a_closed_window_is_shown_and_starts_nothing(site: TestSite) -> None:
    calendar(site, 3)
    said = r"window 'night' is closed; it opens \w{3} \d{4}-\d\d-\d\d 00:00 UTC"
    planned = site.invoke("plan", "change")
    assert planned.exit_code == 3
    assert re.search(rf"window +{said}", planned.stdout) and re.search(rf"would be refused: {said}", planned.stdout)
    plan = site.json("plan", "change")
    assert (plan["ready"], plan["window"]["granted"], plan["window"]["bound"]) == (False, False, True)
    assert plan["window"]["until"].endswith("T00:00:00.000Z")
    ran = site.invoke("run", "change", "--yes", who="op-1")
    assert ran.exit_code == 3 and re.search(rf"nothing was started: {said}", ran.stderr)
    assert site.json("runs") == []


def test_a_plan_that_was_made_in_time_is_not_asked_for_too_late(site: TestSite) -> None:
    """The window may close between the plan and the request, and whoever asks may not have looked."""
    calendar(site, 0)
    app = App(site.root)
    planned = app.plan("change", {})
    assert planned.ready and planned.window.bound
    by = app.signer("op-1", site.keys / "op-1")
    calendar(site, 3)
    late = App(site.root)
    with pytest.raises(Refused, match="not now: window 'night' is closed"):
        late.request(planned, by)
    assert late.store.runs() == []
    late.store.close()


def test_an_open_window_lets_it_run(site: TestSite) -> None:
    calendar(site, 0)
    run = site.started("change")
    assert site.ended(run)["state"] == "succeeded"


def test_check_knows_windows_and_secrets_of_the_site(site: TestSite) -> None:
    calendar(site, 0)
    bad = CHANGE.replace("night", "nihgt") + "    env: {A: '{{ secrets.db }}'}\n"
    (site.root / "runbooks" / "change.yml").write_text(bad)
    checked = site.invoke("check")
    assert checked.exit_code == 1
    assert "change.yml:5:9: error: this site has no window 'nihgt' [HA143]" in checked.stdout
    assert "change.yml:11:14: error: this site has no secret 'db' [HA141]" in checked.stdout
