"""``hisauto``: its commands, each in one line."""

from __future__ import annotations

import click

from hisauto.cli.lazy import Root
from hisauto.cli.options import json_option, no_color_option, person_options, site_option

COMMANDS = {
    "runbooks": ("hisauto.cli.catalog", "runbooks", "What there is, and which faults it answers."),
    "check": ("hisauto.cli.catalog", "check", "Check runbooks, inventory and site for mistakes."),
    "schema": ("hisauto.cli.catalog", "schema", "JSON Schema of the runbook language."),
    "hosts": ("hisauto.cli.hosts", "hosts", "The inventory as Ansible sees it, with reachability."),
    "plan": ("hisauto.cli.planning", "plan", "What a runbook would do now, host by host. Touches nothing."),
    "run": ("hisauto.cli.running", "run", "Start a runbook and watch it."),
    "runs": ("hisauto.cli.looking", "runs", "What ran and what runs."),
    "show": ("hisauto.cli.looking", "show", "One run, as it stands."),
    "watch": ("hisauto.cli.looking", "watch", "One run, live."),
    "approve": ("hisauto.cli.answering", "approve", "Say yes to what a run asks."),
    "reject": ("hisauto.cli.answering", "reject", "Say no to what a run asks."),
    "decide": ("hisauto.cli.answering", "decide", "Decide on a step that failed or is in doubt."),
    "cancel": ("hisauto.cli.answering", "cancel", "Stop a run; what can be undone is undone."),
    "audit": ("hisauto.cli.auditing", "audit", "Read, export and prove the log."),
    "node": ("hisauto.cli.nodes", "node", "Work on runs: an orchestrator node."),
    "lab": ("hisauto.cli.labs", "lab", "The lab hospital: up, down, break, heal."),
}

_HELP = """Run a hospital's emergency runbooks: approved, locked, crash-proof, audited.

\b
Exit codes:
  0   done; a run: succeeded
  1   invalid, failed, or not done after all
  2   asked for what can't be, or isn't there
  3   refused by a rule: guard, approval, signature, lock, version
  4   the record is not what it should be
  5   unreachable
  130 stopped by Ctrl-C
\b
Of a run (run, watch, show):
  10 partial     11 refused          12 rejected   13 expired
  14 failed      15 rolled back      16 rollback failed
  17 cancelled   20 it goes on, and nobody watches it here

\b
Examples:
  hisauto runbooks
  hisauto run database-failover --incident INC-7 --level 1
  hisauto approve
"""


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=Root, lazy=COMMANDS, help=_HELP, context_settings=_SETTINGS)
@site_option
@person_options
@json_option
@no_color_option
def cli() -> None:
    pass
