# ruff: noqa: E501  (a table: an example is easier to read when its lines are whole)
"""HA001 to HA011: the file as YAML. What makes YAML dangerous or ambiguous is refused."""

from __future__ import annotations

from hisauto.model.yamltext import MAX_BYTES, MAX_DEPTH
from hisauto.runbook.rules.rule import HEAD, STEPS, Rule

RULES = (
    Rule(
        "HA001",
        "the file is too large, or can't be read",
        "A runbook is read at three in the morning. What is larger than 1 MiB is data, and isn't read at all.",
        bad="#" * (MAX_BYTES + 1),
        cured=HEAD + STEPS,
        whole=True,
    ),
    Rule(
        "HA002",
        "not UTF-8, or a control character",
        "A reviewer has to see what will run. Control characters can hide a part of a line from the eye.",
        bad="description: restart\x07\n",
        cured="description: restart\n",
    ),
    Rule(
        "HA003",
        "the file is empty",
        "An empty file is a lost one: a copy that broke off, or a merge gone wrong.",
        bad="# to be written\n",
        cured=HEAD + STEPS,
        whole=True,
    ),
    Rule(
        "HA004",
        "not YAML",
        "The place is where reading broke off; the mistake is there or just above it.",
        bad="description: restart: the service\n",
        cured="description: 'restart: the service'\n",
    ),
    Rule(
        "HA005",
        "a tab in the indentation",
        "Editors show tabs at different widths, so two people would see two different structures.",
        bad="hosts:\n\tapps: app\n",
        cured="hosts:\n  apps: app\n",
    ),
    Rule(
        "HA006",
        "a key is there twice",
        "YAML readers keep one of them without a word, and nobody knows which.",
        bad="locks: his_db\nlocks: app\n",
        cured="locks: [his_db, app]\n",
    ),
    Rule(
        "HA007",
        "a tag",
        "Tags make a reader build objects, even run code. Here every value is text, and its word gives it a type.",
        bad="description: !!binary aGVsbG8=\n",
        cured="description: hello\n",
    ),
    Rule(
        "HA008",
        "an alias without its anchor, or inside of it",
        "An alias repeats what stands above it. What isn't there can't be repeated, and what holds itself never ends.",
        bad="steps:\n  - {name: Look, command: uptime, changes: no, env: *environment}\n",
        cured="steps:\n  - {name: Look, command: uptime, changes: no, env: {LC_ALL: C}}\n",
    ),
    Rule(
        "HA009",
        "nested too deep, or too much of it",
        "Nobody reads sixty levels, and aliases of aliases multiply until no machine can either.",
        bad=f"params: {'[' * (MAX_DEPTH + 1)}{']' * (MAX_DEPTH + 1)}\n",
        cured="params: {reason: {default: none}}\n",
    ),
    Rule(
        "HA010",
        "a second document",
        "One file is one runbook: a second one behind `---` would be overlooked.",
        bad=STEPS + "---\nrunbook: another\n",
        cured=STEPS,
    ),
    Rule(
        "HA011",
        "a key that isn't plain text, or a merge key",
        "What a step says has to stand in the step. `<<` pulls in words from elsewhere that a reader doesn't see.",
        bad="steps:\n  - &look {name: Look, command: uptime, changes: no}\n  - {<<: *look, name: Look again}\n",
        cured="steps:\n  - {name: Look, command: uptime, changes: no}\n  - {name: Look again, command: uptime, changes: no}\n",
    ),
)
