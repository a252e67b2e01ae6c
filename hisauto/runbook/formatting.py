"""``fmt``: one way to write a runbook, with its comments where they belong and its meaning as it was.

Own code and no library: what reads and writes YAML with comments (ruamel.yaml) ties a comment to the word before it, so
it would stay behind when words change places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel

from hisauto.errors import HisautoError
from hisauto.model.action import Action
from hisauto.runbook.digest import content_digest
from hisauto.runbook.documents import Probe, Runbook, Step, Undo
from hisauto.runbook.loader import STEP_WORDS, read_runbook
from hisauto.runbook.source import inner_model
from hisauto.runbook.syntax import Alias, Collection, Entry, Node, Scalar, Written, parse

WIDTH = 120
"""Columns within which ``{…}`` and ``[…]`` stay on a line."""
ACTION = "action"
"""Stands for the word of any action, gate or message."""
ORDER: Mapping[type[BaseModel], tuple[str, ...]] = {
    Runbook: (
        "runbook", "version", "title", "kind", "window", "answers", "owner", "description", "objectives", "accept",
        "params", "hosts", "locks", "on_failure", "rollback_within", "never", "guards", "steps", "verify", "always",
    ),
    Step: (
        "name", "id", "when", "hosts", "for_each", "batch", "max_failures", "on_failure", ACTION, "with", "vars",
        "become", "env", "changes", "expect", "exactly", "at_least", "register", "no_log", "retries", "idempotent",
        "timeout", "interrupt", "unreachable", "done_when", "holds", "within", "undo", "irreversible", "accept",
        "steps", "ways", "together",
    ),
    Probe: (
        "name", "hosts", ACTION, "become", "env", "changes", "expect", "exactly", "at_least", "unreachable", "holds",
        "timeout", "within", "register", "measures", "accept",
    ),
    Undo: ("hosts", ACTION, "become", "env", "timeout", "idempotent", "done_when", "within"),
}  # fmt: skip
"""How people read them. Words that aren't here stand before the action, other documents in their models' order."""


def format_runbook(text: bytes, name: str, actions: Mapping[str, Action]) -> bytes:
    """The same runbook in the one form. Raises ``Invalid`` when it has mistakes; ``HisautoError`` when the outcome
    would not read exactly as before, or lack a comment (then nothing should be written)."""
    before = read_runbook(text, name, actions)
    written = parse(_lines(text))
    made = _Writer(actions, reorder=not written.anchored).write(written)
    after = made.encode()
    if content_digest(read_runbook(after, name, actions)) != content_digest(before) or not _kept(written, parse(made)):
        raise HisautoError(f"{name}: it can't be formatted without changing it", hint="this is a defect of hisauto")
    return after


def _lines(text: bytes) -> str:
    return text.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _kept(before: Written, after: Written) -> bool:
    return sorted(c.text for c in before.comments) == sorted(c.text for c in after.comments)


class _Writer:
    def __init__(self, actions: Mapping[str, Action], *, reorder: bool) -> None:
        self.actions, self.reorder = actions, reorder

    def write(self, written: Written) -> str:
        return "\n".join(self.block(written.root, 0, Runbook, False)) + "\n"

    def block(self, node: Collection, indent: int, model: type[BaseModel] | None, named: bool) -> list[str]:
        """A collection, an entry a line or more. ``named``: its keys are free names, each with such a model."""
        lines: list[str] = []
        for n, entry in enumerate(self.ordered(node, model, named)):
            if n and entry.spaced:
                lines.append("")
            lines += self.entry(entry, indent, *self.inner(entry, model, named))
        foot = node.foot if lines or not node.foot or node.foot[0] else node.foot[1:]
        return lines + [_at(indent, comment) for comment in foot]

    def inner(self, entry: Entry, model: type[BaseModel] | None, named: bool) -> tuple[type[BaseModel] | None, bool]:
        """The model of an entry's value, and whether that is a mapping of such under free names."""
        if model is None or entry.key is None or named:
            return model, False
        return inner_model(model, entry.key.value)

    def ordered(self, node: Collection, model: type[BaseModel] | None, named: bool) -> list[Entry]:
        if model is None or named or not node.mapping or not self.reorder:
            return node.entries
        known = [info.alias or name for name, info in model.model_fields.items()]
        order = ORDER.get(model, tuple(known))

        def rank(entry: Entry) -> tuple[int, int]:
            assert entry.key is not None
            word = entry.key.value
            if model in ORDER and (word in self.actions or word in STEP_WORDS) and word not in order:
                return order.index(ACTION), 1
            if word in order:
                return order.index(word), 1
            return order.index(ACTION) if ACTION in order else len(order), 0

        return sorted(node.entries, key=rank)

    def entry(self, entry: Entry, indent: int, model: type[BaseModel] | None, named: bool) -> list[str]:
        lead = f"{_scalar(entry.key)}:" if entry.key is not None else "-"
        head = [_at(indent, comment) for comment in entry.head]
        trail = f"  {entry.trail}" if entry.trail else ""
        value = entry.value
        if isinstance(value, Collection):
            flat = self.flat(value, model, named)
            fits = flat is not None and indent + len(lead) + 1 + len(flat) <= WIDTH
            if flat is not None and (fits or not value.entries):
                return [*head, _at(indent, f"{lead} {value.anchor}{flat}{trail}")]
            lines = self.block(value, indent + 2, model, named)
            if entry.key is not None or value.anchor:
                return [*head, _at(indent, f"{lead} {value.anchor}".rstrip() + trail), *lines]
            above = next(n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
            comments = [line[2:] for line in lines[:above]]  # of the first word: they stand above the dash
            first = _at(indent, f"- {lines[above].strip()}")
            return [*head, *([_at(indent, entry.trail)] if trail else []), *comments, first, *lines[above + 1 :]]
        if isinstance(value, Alias):
            return [*head, _at(indent, f"{lead} {value.source}{trail}")]
        return [*head, *_text(value, lead, trail, indent)]

    def flat(self, node: Collection, model: type[BaseModel] | None, named: bool) -> str | None:
        """On one line, if it was written with brackets and nothing in it needs a line of its own."""
        if not node.flow or node.commented():
            return None
        parts = []
        for entry in self.ordered(node, model, named):
            value = self.flat_value(entry.value, *self.inner(entry, model, named))
            if value is None or (not value and node.mapping):
                return None
            parts.append(f"{_scalar(entry.key)}: {value}" if entry.key is not None else value)
        return f"{{{', '.join(parts)}}}" if node.mapping else f"[{', '.join(parts)}]"

    def flat_value(self, node: Node, model: type[BaseModel] | None, named: bool) -> str | None:
        if isinstance(node, Collection):
            flat = self.flat(node, model, named)
            return flat and f"{node.anchor}{flat}"
        if isinstance(node, Alias):
            return f"{node.source} "  # else a comma or bracket behind it would be a part of its name
        text = _scalar(node)
        return None if "\n" in text else f"{node.anchor}{text}"


def _at(indent: int, text: str) -> str:
    return " " * indent + text if text else ""


def _scalar(node: Scalar) -> str:
    """On one line where that can be: quotes are double, unless the text has some, or backslashes, in it."""
    if node.style in ("|", ">") or "\n" in node.value or not node.value.isprintable():
        return node.source
    if not node.style:
        return node.value
    if '"' not in node.value and "\\" not in node.value:
        return f'"{node.value}"'
    return "'" + node.value.replace("'", "''") + "'"


def _text(node: Scalar, lead: str, trail: str, indent: int) -> list[str]:
    """A scalar behind its key or dash, over as many lines as it was written on."""
    written = node.source.split("\n")
    if node.style in ("|", ">"):
        return _literal(node, written, lead, indent)
    if len(written) == 1:
        return [_at(indent, f"{lead} {node.anchor}{_scalar(node)}".rstrip() + trail)]
    middle = [_at(indent + 2, line.strip()) for line in written[1:]]
    middle[-1] += trail
    return [_at(indent, f"{lead} {node.anchor}{written[0].rstrip()}"), *middle]


def _margin(lines: list[str]) -> int:
    return next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(" ")), 0)


def _literal(node: Scalar, written: list[str], lead: str, indent: int) -> list[str]:
    """``|`` and ``>``: the lines stay as they are, at their new place."""
    header, body = written[0].rstrip(), written[1:]
    while body and not body[-1].strip() and "+" not in header.partition("#")[0]:
        body.pop()
    if body and not body[-1]:
        body.pop()  # the end of the last line
    margin = _margin(body) - _margin(node.value.split("\n"))
    header = re.sub("[0-9]", "2", header.partition("#")[0]) + "".join(header.partition("#")[1:])
    return [_at(indent, f"{lead} {node.anchor}{header}"), *(_at(indent + 2, line[margin:]) for line in body)]
