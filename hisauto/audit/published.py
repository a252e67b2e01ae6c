"""Published checkpoints, read back from where they are: a file of notes, or the file of a syslog server."""

from __future__ import annotations

import json
from itertools import zip_longest

_SYSLOG = '{"checkpoint":'


def notes(text: str) -> list[str]:
    """The signed notes, as they were appended. What is no whole note is kept too: it has to be reported.

    One that was torn and then written again whole, by a node that died or a disk that was full, is only that one.
    """
    found = _of_syslog(text) if _SYSLOG in text else _of_file(text)
    followed = zip_longest(found, found[1:], fillvalue="")
    return [one for one, after in followed if one == after or not after.startswith(one.rstrip("\n\ufffd"))]


def in_syslog(note: str) -> str:
    """A note as the text of a syslog message: JSON in ASCII, so that nothing on the way has a reason to change it."""
    return json.dumps({"checkpoint": note}, separators=(",", ":"))


def _of_file(text: str) -> list[str]:
    pieces = [block.strip("\n") for block in text.split("\n\n") if block.strip()]
    found = []
    while pieces:
        body = pieces.pop(0)
        found.append(f"{body}\n\n{pieces.pop(0)}\n" if pieces and pieces[0].startswith("— ") else body)
    return found


def _of_syslog(text: str) -> list[str]:
    return [_in_line(line[line.index(_SYSLOG) :]) for line in text.splitlines() if _SYSLOG in line]


def _in_line(text: str) -> str:
    try:
        return str(json.JSONDecoder().raw_decode(text)[0]["checkpoint"])
    except ValueError:
        return text
