"""A YAML file as it is written: nodes with their places, and each comment with what it is about.

For ``fmt`` only: what a file *means* is ``model/yamltext.py``'s business, which has accepted it before it comes here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(eq=False)
class Scalar:
    """Text, as it is written and as it reads."""

    source: str
    value: str
    style: str
    """Empty (plain), ``'``, ``"``, ``|`` or ``>``."""
    anchor: str = ""


@dataclass(eq=False)
class Alias:
    """``*name``."""

    source: str


@dataclass(eq=False)
class Collection:
    """A mapping or a list. ``foot``: comments behind its last entry."""

    mapping: bool
    flow: bool
    column: int
    """From 0; of its entries."""
    start: int
    anchor: str = ""
    end: int = 0
    """Of a flow collection: behind its bracket."""
    entries: list[Entry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)
    owner: Entry | None = None

    def commented(self) -> bool:
        """Whether a comment stands inside."""
        inner = (e.value for e in self.entries)
        return (
            bool(self.foot)
            or any(e.head or e.trail for e in self.entries)
            or any(isinstance(value, Collection) and value.commented() for value in inner)
        )


Node = Scalar | Alias | Collection


@dataclass(eq=False)
class Entry:
    """An item of a list, or a key with its value."""

    within: Collection
    key: Scalar | None
    start: int
    column: int
    value: Node
    head: list[str] = field(default_factory=list)
    """Comments above it; an empty text is an empty line between them."""
    trail: str = ""
    """The comment behind it."""
    spaced: bool = False
    """An empty line stands above it and its comments."""

    def around(self) -> Iterator[Collection]:
        """The collections that it is in, the innermost first."""
        at: Entry | None = self
        while at is not None:
            yield at.within
            at = at.within.owner


@dataclass(frozen=True)
class Comment:
    """``# …``, where it stands."""

    start: int
    text: str
    line: int
    column: int
    alone: bool
    """Nothing else is on its line."""


@dataclass
class Written:
    """A file's one document, and all its comments."""

    root: Collection
    comments: list[Comment]
    anchored: bool
    """Anchors are used: what stands above what matters."""


def parse(text: str) -> Written:
    """Of a text that ``yamltext.load`` takes, a mapping; with ``\\n`` as its only line end."""
    reader = _Reader(text)
    root = reader.read()
    _attach(root, reader.comments, text.split("\n"))
    return Written(root, reader.comments, reader.anchored)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        self.last = 0
        self.anchored = False
        self.comments: list[Comment] = []

    def read(self) -> Collection:
        while not isinstance(next(self.events), yaml.DocumentStartEvent):
            pass
        root = self.node(next(self.events), None)
        assert isinstance(root, Collection)
        self.gap(len(self.text))
        return root

    def gap(self, until: int, resume: int | None = None) -> None:
        """Between two nodes there is nothing but indicators and comments."""
        for found in re.finditer(r"#[^\n]*", self.text[self.last : until]):
            start = self.last + found.start()
            begin = self.text.rfind("\n", 0, start) + 1
            before = self.text[begin:start]
            line = self.text.count("\n", 0, start)
            self.comments.append(Comment(start, found[0].rstrip(), line, start - begin, not before.strip()))
        self.last = until if resume is None else resume

    def node(self, event: Any, owner: Entry | None) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.AliasEvent):
            self.gap(start, end)
            return Alias(self.text[start:end])
        anchor = f"&{event.anchor} " if event.anchor else ""
        self.anchored = self.anchored or bool(anchor)
        if isinstance(event, yaml.ScalarEvent):
            self.gap(start, end)
            source = self.text[start:end].removeprefix(anchor.rstrip()).lstrip() if anchor else self.text[start:end]
            return Scalar(source, str(event.value), event.style or "", anchor)
        self.gap(start, end if event.flow_style else start + len(anchor.rstrip()))
        mapping = isinstance(event, yaml.MappingStartEvent)
        made = Collection(mapping, bool(event.flow_style), event.start_mark.column, start, anchor, owner=owner)
        ends = yaml.MappingEndEvent if mapping else yaml.SequenceEndEvent
        event = next(self.events)
        while not isinstance(event, ends):
            made.entries.append(self.entry(made, event))
            event = next(self.events)
        closing: Any = event
        made.end = closing.end_mark.index
        if made.flow:
            self.gap(closing.start_mark.index, made.end)
        if made.entries:
            made.column = made.entries[0].column
        return made

    def entry(self, within: Collection, event: Any) -> Entry:
        start, column = event.start_mark.index, event.start_mark.column
        key = None
        if within.mapping:
            node = self.node(event, None)
            assert isinstance(node, Scalar)
            key, event = node, next(self.events)
        elif not within.flow:
            begin = self.text.rfind("\n", 0, start) + 1
            before = self.text[begin:start].rstrip()
            if before.endswith("-"):
                start, column = begin + len(before) - 1, len(before) - 1
        made = Entry(within, key, start, column, Scalar("", "", ""))
        made.value = self.node(event, made)
        return made


def _attach(root: Collection, comments: list[Comment], lines: list[str]) -> None:
    """Give each comment to what it is about: the entry on its line, else the next one, else the end of a collection."""
    entries = sorted(_entries(root), key=lambda entry: entry.start)
    heads: dict[Entry, list[Comment]] = {}
    feet: dict[Collection, list[Comment]] = {}
    for comment in comments:
        before = next((e for e in reversed(entries) if e.start < comment.start), None)
        after = next((e for e in entries if e.start > comment.start), None)
        if not comment.alone and before is not None and _trails(before, comment):
            continue
        foot = _ended(before, after, comment)
        if foot is None and after is None:
            foot = root
        if foot is not None:
            feet.setdefault(foot, []).append(comment)
        elif after is not None:
            heads.setdefault(after, []).append(comment)
    for collection, found in feet.items():
        spaced = not lines[found[0].line - 1].strip()
        collection.foot = [*([""] if spaced else []), *_spaced(found)]
    starts = _line_starts(lines)
    for entry in entries:
        own, line = heads.get(entry, []), starts(entry.start)
        entry.head = [*_spaced(own), *([""] if own and line - own[-1].line > 1 else []), *entry.head]
        first = own[0].line if own else line
        entry.spaced = first > 0 and not lines[first - 1].strip()


def _trails(entry: Entry, comment: Comment) -> bool:
    """Put it behind the entry on its line, out of what has ended before it."""
    at = entry
    while at.within.flow and at.within.end <= comment.start:
        if at.within.owner is None:
            return False
        at = at.within.owner
    if at.trail:
        at.head.append(comment.text)
    else:
        at.trail = comment.text
    return True


def _ended(before: Entry | None, after: Entry | None, comment: Comment) -> Collection | None:
    """The collection at whose end a comment stands: one that has no further entry, indented as the comment is."""
    if before is None:
        return None
    going_on = set(after.around()) if after is not None else set()
    for at in before.around():
        if at in going_on:
            return None
        inside = at.flow and at.start < comment.start < at.end
        deeper = after is None or comment.column > after.column
        if inside or (not at.flow and deeper and at.column <= comment.column):
            return at
    return None


def _entries(collection: Collection) -> Iterator[Entry]:
    for entry in collection.entries:
        yield entry
        if isinstance(entry.value, Collection):
            yield from _entries(entry.value)


def _spaced(comments: list[Comment]) -> list[str]:
    texts: list[str] = []
    for n, comment in enumerate(comments):
        if n and comment.line - comments[n - 1].line > 1:
            texts.append("")
        texts.append(comment.text)
    return texts


def _line_starts(lines: list[str]) -> Any:
    from bisect import bisect_right
    from itertools import accumulate

    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    return lambda offset: bisect_right(starts, offset) - 1
