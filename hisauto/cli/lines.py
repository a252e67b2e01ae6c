"""A run as lines: one event a line, in an order and a form that stay, for logs, pipes and grep."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hisauto.audit.entry import Entry
from hisauto.cli.terminal import clean

if TYPE_CHECKING:
    from hisauto.store.rows import Output

SAID = ("state", "path", "name", "host", "answer", "question", "why")
"""What a line says of an entry, in this order, where the entry has it."""


def line(entry: Entry) -> str:
    """``TIME RUN KIND ACTOR key=value …``; values as a shell would quote them."""
    words = [entry.at, entry.run or "-", entry.kind, entry.actor]
    words += [f"{name}={shlex.quote(clean(value))}" for name, value in _said(entry).items()]
    return " ".join(words)


def _said(entry: Entry) -> dict[str, Any]:
    data = entry.data
    found = {name: data[name] for name in SAID if isinstance(data.get(name), str | int) and data[name] != ""}
    if isinstance(data.get("person"), str):
        found["person"] = data["person"]
    if isinstance(data.get("question"), Mapping):
        asked = data["question"]
        found["waits_for"] = asked.get("kind", "")
        found |= {key: asked[key] for key in ("step", "name", "why") if isinstance(asked.get(key), str) and asked[key]}
        if isinstance(asked.get("question"), str):
            found["question"] = asked["question"]
    if isinstance(data.get("result"), Mapping) and data["result"].get("why"):
        found["why"] = data["result"]["why"]
    if isinstance(data.get("summary"), Mapping) and data["summary"].get("why"):
        found["why"] = data["summary"]["why"]
    if isinstance(data.get("key"), str):
        found["key"] = data["key"]
        if isinstance(data.get("value"), str | int | float | bool):
            found["value"] = data["value"]
    if isinstance(data.get("keys"), list):
        found["keys"] = ",".join(map(str, data["keys"]))
    return found


def event(entry: Entry) -> dict[str, Any]:
    """For machines: the entry as the log has it."""
    return {name: getattr(entry, name) for name in ("seq", "at", "kind", "run", "actor", "data")}


def in_order(entries: Sequence[Entry], outputs: Sequence[Output]) -> Iterator[Entry | Output]:
    """Output before the end of the attempt that it is from."""
    left = list(outputs)
    for entry in entries:
        if entry.kind.startswith("attempt.") and entry.kind != "attempt.started":
            attempt = f"{entry.data['path']}#{entry.data['n']}"
            yield from (piece for piece in left if piece.attempt == attempt)
            left = [piece for piece in left if piece.attempt != attempt]
        yield entry
    yield from left


def output_lines(run: str, piece: Output) -> list[str]:
    """Live output: one line each, behind the attempt and the stream that it is from."""
    texts = [text for text in clean(piece.text, lines=True).split("\n") if text.strip()]
    return [f"{run} output {piece.attempt} {piece.stream}: {text}" for text in texts]


def output_event(run: str, piece: Output) -> dict[str, Any]:
    return {"kind": "output", "run": run, "attempt": piece.attempt, "stream": piece.stream, "text": piece.text}
