"""Every rule that a runbook is checked against, by its code; ``docs/lint.md`` is made of this table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from hisauto.errors import NotFound
from hisauto.model.problems import Severity, did_you_mean
from hisauto.runbook.rules import danger, file, form, sense
from hisauto.runbook.rules.rule import Rule

RULES: Mapping[str, Rule] = {rule.code: rule for part in (file, form, sense, danger) for rule in part.RULES}

_LINES, _WIDTH = 20, 120
"""Of an example, what is shown."""
_PAGE = """\
<!-- Made by `hisauto check --explain all`: change the rules in hisauto/runbook/rules, not this page. -->
# Rules

`hisauto check` finds what follows. An error keeps a runbook from being planned. A warning doesn't, except under
`hisauto check --strict`; where it is all right, say why, on the step, on the look, or on the whole runbook:

```yaml
    accept: {HA152: power comes back by hand only}
```

What is accepted is part of the runbook, so it is approved with it. `hisauto check --explain CODE` shows one rule.
"""


def explain(code: str, say: Callable[[str], str] = str) -> str:
    """A rule as Markdown, ``say`` turning its words into the reader's language; ``all``: the page of them all.

    Raises ``NotFound``.
    """
    if code == "all":
        return "\n".join([_PAGE, *(f"| {' | '.join(row)} |" for row in _table()), "", *map(_section, RULES.values())])
    rule = RULES.get(code.upper())
    if rule is None:
        hint = did_you_mean(code.upper(), RULES) or "hisauto check --explain all"
        raise NotFound(f"there is no rule {code!r}", hint=hint)
    return _section(rule, say)


def _table() -> Iterator[tuple[str, ...]]:
    yield "code", "severity", "rule"
    yield "---", "---", "---"
    for severity in get_args(Severity):
        for rule in RULES.values():
            if rule.severity == severity:
                yield f"[{rule.code}](#{rule.code.lower()})", severity, rule.title


def _section(rule: Rule, say: Callable[[str], str] = str) -> str:
    shown = [("", rule.bad), (f"{say('Cured:')}\n\n", rule.cured)]
    title = f"{say(rule.severity)}: {say(rule.title)}".capitalize()
    parts = [f"## {rule.code}", f"{title}.", say(rule.reason)]
    return "\n\n".join([*parts, *(f"{lead}```yaml\n{_example(text)}```" for lead, text in shown)]) + "\n"


def _example(text: str) -> str:
    lines = [_visible(line) for line in text.rstrip("\n").split("\n")]
    cut = [line if len(line) <= _WIDTH else line[:_WIDTH] + " …" for line in lines]
    return "".join(f"{line}\n" for line in (cut if len(cut) <= _LINES else [*cut[:_LINES], "…"]))


def _visible(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
