"""What the tests' site has beside the repository's: runbooks made from its own by one change each, and a slow role."""

from __future__ import annotations

import shutil
from pathlib import Path

LATE, TINY, SEEN = "failover-late", "two-seconds", "two-seconds-seen"

ROLE = """\
runbook: {name}
version: 1.0.0
title: A role that takes two seconds
kind: routine
owner: dba
on_failure: stop
params:
  file: {{help: what it appends a line to}}
steps:
  - name: Append
    hosts: app1
    role: two_seconds
    vars: {{file: "{{{{ params.file }}}}"}}
    timeout: 60s
{more}verify:
  - name: The line is there, once
    hosts: app1
    shell: cat {{{{ params.file }}}}
    expect: stdout_lines == ['x']
    within: 5s
"""
LOOK = """\
    done_when:
      shell: test "$(cat {{ params.file }} 2>&1)" = x
    within: 5s
"""
PROMOTED_IN_TIME = "      expect: row.primary\n    within: 60s\n    irreversible:"


def add(site: Path) -> None:
    """Add them to a copy of the repository's site."""
    shutil.copytree(Path(__file__).with_name("site"), site, dirs_exist_ok=True)
    runbooks = site / "runbooks"
    text = (runbooks / "database-failover.yml").read_text()
    assert PROMOTED_IN_TIME in text
    late = text.replace(PROMOTED_IN_TIME, PROMOTED_IN_TIME.replace("60s", "1s"))
    (runbooks / f"{LATE}.yml").write_text(late.replace("runbook: database-failover", f"runbook: {LATE}"))
    for name, more in ((TINY, ""), (SEEN, LOOK)):
        (runbooks / f"{name}.yml").write_text(ROLE.format(name=name, more=more))
