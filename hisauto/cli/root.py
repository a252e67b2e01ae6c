"""``hisauto``: its commands, each in one line."""

from __future__ import annotations

import click

from hisauto.cli.lazy import Root
from hisauto.cli.options import json_option, lang_option, no_color_option, person_options, site_option

COMMANDS = {
    "runbooks": ("hisauto.cli.catalog", "runbooks", "What there is, and which faults it answers."),
    "check": ("hisauto.cli.catalog", "check", "Check runbooks, inventory and site for mistakes."),
    "fmt": ("hisauto.cli.formatting", "fmt", "Write runbooks in the one form; comments and meaning stay."),
    "schema": ("hisauto.cli.catalog", "schema", "JSON Schema of the runbook language."),
    "rehearse": ("hisauto.cli.rehearsing", "rehearse", "Runbooks through every fault, on a world in memory."),
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
    "reviews": ("hisauto.cli.reviewing", "reviews", "What broken glasses have left to be reviewed."),
    "review": ("hisauto.cli.reviewing", "review", "Say what you found when you reviewed a broken glass."),
    "enter": ("hisauto.cli.entering", "enter", "Enter afterwards what was done by hand."),
    "entered": ("hisauto.cli.entering", "entered", "What was done by hand and entered afterwards."),
    "completion": ("hisauto.cli.completing", "completion", "Completion for bash, zsh and fish."),
    "audit": ("hisauto.cli.auditing", "audit", "Read, export and prove the log."),
    "node": ("hisauto.cli.nodes", "node", "Work on runs: an orchestrator node."),
    "nodes": ("hisauto.cli.nodelist", "nodes", "Who works here: orchestrator nodes, and what each drives."),
    "locks": ("hisauto.cli.locking", "locks", "Who holds what, and who waits for whom."),
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
@lang_option
@json_option
@no_color_option
def cli() -> None:
    pass
