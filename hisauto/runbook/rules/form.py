# ruff: noqa: E501  (a table: an example is easier to read when its lines are whole)
"""HA100 to HA105: the form of a runbook. Where it is wrong nothing more is looked at."""

from __future__ import annotations

from hisauto.runbook.rules.rule import HEAD, STEPS, Rule

RULES = (
    Rule(
        "HA100",
        "not a runbook: a playbook, a list, text",
        "A playbook says what to do, not when it may begin, who agrees, how to tell that it worked and how to go back.",
        bad="- hosts: app\n  tasks:\n    - command: systemctl restart his\n",
        cured=HEAD + STEPS,
        whole=True,
    ),
    Rule(
        "HA101",
        "an unknown word",
        "A misspelt word that is ignored is a guard that is never taken.",
        bad="gards: []\n",
        cured="guards: []\n",
    ),
    Rule(
        "HA102",
        "a word is missing",
        "Each file says whose it is and what it is for; each step has a name that people can call it by.",
        bad="steps:\n  - {command: uptime, changes: no}\n",
        cured="steps:\n  - {name: Look, command: uptime, changes: no}\n",
    ),
    Rule(
        "HA103",
        "a value of the wrong kind",
        "A bare number has no unit, and guessing one is off by a factor of sixty.",
        bad="objectives: {rto: 5}\n",
        cured="objectives: {rto: 5m}\n",
    ),
    Rule(
        "HA104",
        "several actions in one step",
        "When one of two actions has happened and the other hasn't, nobody can say what the step's state is.",
        bad="steps:\n  - name: Look\n    command: uptime\n    shell: df | head -2\n    changes: no\n",
        cured="steps:\n  - {name: Look, command: uptime, changes: no}\n  - {name: Room, shell: df | head -2, changes: no}\n",
    ),
    Rule(
        "HA105",
        "nothing to do, or nothing to look at",
        "A step that does nothing succeeds always, and a guard that looks at nothing never says no.",
        bad="guards:\n  - {name: The disk has room}\n",
        cured="guards:\n  - {name: The disk has room, command: df --output=pcent ., expect: \"'100%' not in stdout\"}\n",
    ),
)
