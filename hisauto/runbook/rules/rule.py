"""One rule: what it forbids or warns of, why, an example of it, and the same one cured."""

from __future__ import annotations

from dataclasses import dataclass

from hisauto.model.problems import Severity

HEAD = """\
runbook: example
version: 1.0.0
title: An example
kind: drill
owner: dba
"""
STEPS = """\
steps:
  - name: Look
    command: uptime
    changes: no
"""


@dataclass(frozen=True)
class Rule:
    """``bad`` and ``cured`` are parts of a runbook; ``text`` makes a whole one of them."""

    code: str
    title: str
    reason: str
    bad: str
    cured: str
    severity: Severity = "error"
    whole: bool = False
    """The examples are whole files: nothing is put around them."""

    def text(self, example: str) -> str:
        """The whole file that an example stands for: with a head, and with a step where it has none."""
        if self.whole:
            return example
        stepless = not any(line.startswith("steps:") for line in example.split("\n"))
        return HEAD + example + (STEPS if stepless else "")
