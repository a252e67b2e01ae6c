"""YAML as text with places: every scalar stays the text that was written, every node knows its line and column.

Types are the reader's business, so ``no`` is never False, ``0777`` never 511 and ``1.10`` never 1.1. What makes YAML
dangerous or ambiguous is refused: tags, merge keys, tabs as indentation, duplicate keys, unbounded aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from hisauto.model.problems import Problem, Severity, invalid

Value = dict[str, "Value"] | list["Value"] | str
Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, both from 1."""

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 60
MAX_NODES = 100_000
"""After aliases are followed: what stands between us and a billion laughs."""

# libyaml's own idea of lines, so that its positions and ours are the same.
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """One parsed file."""

    value: Value
    file: str
    lines: tuple[str, ...]
    places: Mapping[Path, Place] = field(repr=False)
    keys: Mapping[Path, Place] = field(repr=False)

    def at(self, path: Path) -> Place:
        """Where the value stands; of a path that isn't there, where the nearest part of it stands."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def key_at(self, path: Path) -> Place:
        """Where the key stands; of a list's item or an unknown path, the same as ``at``."""
        return self.keys.get(path) or self.at(path)

    def problem(
        self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False, severity: Severity = "error"
    ) -> Problem:
        """A problem at the value of ``path``, or at its key."""
        return self.problem_at(self.key_at(path) if key else self.at(path), code, message, hint, severity)

    def problem_at(
        self, place: Place, code: str, message: str, hint: str = "", severity: Severity = "error"
    ) -> Problem:
        """A problem at a line and column."""
        return Problem(self.file, *place, code, message, hint, severity, _line(self.lines, place[0]))


def load(text: bytes, file: str) -> Document:
    """Parse one document. ``file`` is the name for messages. Raises ``Invalid`` with ``problems``, nothing else.

    Codes: HA001 size, HA002 encoding, HA003 empty, HA004 syntax, HA005 tab, HA006 duplicate key, HA007 tag,
    HA008 alias, HA009 too deep or too large, HA010 more than one document, HA011 key.
    """
    if len(text) > MAX_BYTES:
        raise invalid([Problem(file, 0, 0, "HA001", f"the file has {len(text)} bytes; at most {MAX_BYTES} are read")])
    decoded = _decode(text, file)
    lines = tuple(_LINE_BREAK.split(decoded))
    builder = _Builder(file, lines)
    if found := _UNPRINTABLE.search(decoded):
        code_point = f"U+{ord(found.group()):04X}"
        raise invalid([builder.problem(_place(decoded, found.start()), "HA002", f"the character {code_point} is not "
                                       "allowed in YAML", "write it as an escape in double quotes")])  # fmt: skip
    try:
        value = builder.build(decoded)
    except yaml.YAMLError as error:
        raise invalid([*builder.problems, builder.syntax(error)]) from None
    if builder.problems:
        raise invalid(builder.problems)
    return Document(value, file, lines, builder.places, builder.keys)


def _decode(text: bytes, file: str) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = text[: error.start].decode("utf-8-sig")
        line, column = _place(good, len(good))
        message = f"not UTF-8: byte {error.start + 1} is 0x{text[error.start]:02x}"
        source = _LINE_BREAK.split(good)[-1]
        hint = "save the file as UTF-8"
        raise invalid([Problem(file, line, column, "HA002", message, hint, "error", source)]) from None


def _place(text: str, offset: int) -> Place:
    before = _LINE_BREAK.split(text[:offset])
    return len(before), len(before[-1]) + 1


def _line(lines: tuple[str, ...], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""


class _Stop(Exception):
    """The rest can't be read; ``problems`` says why."""


@dataclass
class _Builder:
    """Events to values. Recursion is bounded by ``MAX_DEPTH``, work by ``MAX_NODES``."""

    file: str
    lines: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    anchors: dict[str, Value | None] = field(default_factory=dict)
    """None while the anchored node itself is being read."""
    nodes: int = 0

    def problem(self, place: Place, code: str, message: str, hint: str = "") -> Problem:
        return Problem(self.file, *place, code, message, hint, "error", _line(self.lines, place[0]))

    def complain(self, event: yaml.Event, code: str, message: str, hint: str = "") -> None:
        self.problems.append(self.problem(_start(event), code, message, hint))

    def build(self, text: str) -> Value:
        events = yaml.parse(text, Loader=_Loader)
        value: Value | None = None
        try:
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if value is not None:
                        self.complain(event, "HA010", "a second document begins here", "one file, one document")
                        raise _Stop
                    value = self.node(next(events), events, ())
        except _Stop:
            raise invalid(self.problems) from None
        if value is None or (value == "" and not self.problems):
            raise invalid([Problem(self.file, 0, 0, "HA003", "the file is empty")])
        return value

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Value:
        self.places[path] = _start(event)
        self.check(event, path)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        anchor = event.anchor if isinstance(event, yaml.NodeEvent) else None
        if anchor:
            self.anchors[anchor] = None
        value: Value
        if isinstance(event, yaml.MappingStartEvent):
            value = self.mapping(events, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(child := next(events), yaml.SequenceEndEvent):
                value.append(self.node(child, events, (*path, len(value))))
        else:
            assert isinstance(event, yaml.ScalarEvent)
            value = str(event.value)
        if anchor:
            self.anchors[anchor] = value
        return value

    def mapping(self, events: Iterator[yaml.Event], path: Path) -> Value:
        value: dict[str, Value] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                hint = "an unquoted {{ … }} reads as a mapping: quote it"
                self.complain(event, "HA011", "a key must be plain text", hint)
                raise _Stop
            key, place = str(event.value), _start(event)
            self.check(event, (*path, key))
            if key == "<<" and not event.style:
                self.complain(event, "HA011", "merge keys (<<) are not part of the language", "write the fields out")
            if key in value:
                first = self.keys[(*path, key)]
                self.complain(event, "HA006", f"the key {key!r} is there twice", f"the first one is on line {first[0]}")
                self.node(next(events), events, (*path, key, "second"))
                continue
            self.keys[(*path, key)] = place
            value[key] = self.node(next(events), events, (*path, key))
        return value

    def alias(self, event: yaml.AliasEvent, path: Path) -> Value:
        name = str(event.anchor)
        if name not in self.anchors:
            self.complain(event, "HA008", f"there is no anchor &{name} above")
            raise _Stop
        value = self.anchors[name]
        if value is None:
            self.complain(event, "HA008", f"*{name} stands inside of &{name}: it would never end")
            raise _Stop
        return self.copied(value, path, event)

    def copied(self, value: Value, path: Path, event: yaml.AliasEvent) -> Value:
        """Every use of an anchor is a value of its own, and counts; its places are the alias's."""
        self.places[path] = _start(event)
        self.count(event, path)
        if isinstance(value, dict):
            return {key: self.copied(item, (*path, key), event) for key, item in value.items()}
        if isinstance(value, list):
            return [self.copied(item, (*path, n), event) for n, item in enumerate(value)]
        return value

    def check(self, event: yaml.Event, path: Path) -> None:
        self.count(event, path)
        line, column = _start(event)
        indent = _line(self.lines, line)[: column - 1]
        if "\t" in indent and not indent.strip(" \t-?"):
            self.problems.append(self.tab((line, indent.index("\t") + 1)))
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            hint = "leave it out: all values are text"
            self.complain(event, "HA007", f"the tag {shown} is not part of the language", hint)

    def count(self, event: yaml.Event, path: Path) -> None:
        self.nodes += 1
        if len(path) > MAX_DEPTH:
            self.complain(event, "HA009", f"nested more than {MAX_DEPTH} levels deep")
            raise _Stop
        if self.nodes > MAX_NODES:
            self.complain(event, "HA009", f"more than {MAX_NODES} values", "do aliases multiply each other?")
            raise _Stop

    def tab(self, place: Place) -> Problem:
        return self.problem(place, "HA005", "a tab in the indentation", "YAML is indented with spaces")

    def syntax(self, error: yaml.YAMLError) -> Problem:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        if "\t" in (indent := _line(self.lines, place[0])[: place[1]]) and not indent.strip(" \t-?"):
            return self.tab((place[0], indent.index("\t") + 1))
        said = str(getattr(error, "problem", None) or error)
        context = getattr(error, "context", None)
        return self.problem(place, "HA004", f"not YAML: {said}" + (f", {context}" if context else ""), _advice(said))


def _advice(said: str) -> str:
    if "mapping values are not allowed" in said:
        return "a text with ': ' in it needs quotes; or is the indentation of this line wrong?"
    if "block end" in said or "block mapping" in said or "expected <block end>" in said:
        return "look at the indentation: items that belong together begin in the same column"
    if "cannot start any token" in said:
        return "a text that begins with this character needs quotes"
    return ""


def _start(event: yaml.Event) -> Place:
    mark: Any = event.start_mark
    return mark.line + 1, mark.column + 1
