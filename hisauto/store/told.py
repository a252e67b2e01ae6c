"""What the log tells of one run: the rows that its tables have to hold, if nobody has changed them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hisauto.audit.entry import Entry
from hisauto.clock import stamp
from hisauto.errors import Broken
from hisauto.model.run import REVIEW, AttemptState
from hisauto.store.values import is_digest

Key = tuple[Any, ...]
_ONE: Key = ()  # the key of a table that has one row of a run
_NOTHING_ASKED: Mapping[str, Any] = {"question": None, "wake_at": None}
_UNSETTLED = frozenset({AttemptState.started, AttemptState.in_doubt})


class Opaque(Exception):
    """An entry is on record by its digest alone: what it did can't be told."""


class Told:
    """Takes a run's entries in their order. Moments are text (``stamp``); values as the log has them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, dict[str, Any]]] = {
            name: {} for name in ("runs", "attempts", "decisions", "memos", "locks")
        }
        self.seq: dict[tuple[str, Key], int] = {}
        """The entry that told of a row last."""

    def take(self, entry: Entry) -> None:
        """Raises ``Opaque``, and ``Broken`` if no version of hisauto writes such an entry."""
        if is_digest(entry.data):
            raise Opaque
        try:
            self._take(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Broken(f"it does not tell what an entry of the kind {entry.kind} has to") from error

    def _take(self, entry: Entry) -> None:
        data = entry.data
        match entry.kind:
            case "run.requested":
                self._request(entry, data)
            case "drive.claimed":
                self._tell(entry, "runs", _ONE, epoch=data["epoch"])
            case "run.state":
                self._tell(entry, "runs", _ONE, state=data["state"], **_NOTHING_ASKED)
            case "run.parked":
                asked = {"question": data["question"], "wake_at": data["wake_at"]}
                self._tell(entry, "runs", _ONE, state=data["state"], **asked)
            case "run.ended":
                end = {"ended_at": entry.at, "summary": data["summary"]}
                self._tell(entry, "runs", _ONE, state=data["state"], **_NOTHING_ASKED, **end)
            case "decision":
                self._decision(entry, dict(data))
            case "lock.taken":
                for key in data["keys"]:
                    self._tell(entry, "locks", (key,), since=entry.at)
            case "lock.freed":
                for key in data["keys"]:
                    self.rows["locks"].pop((key,), None)
            case kind if kind.startswith("attempt."):
                self._attempt(entry, dict(data))
            case _:
                self._tell(entry, "memos", (data["key"],), value=data["value"])

    def _tell(self, entry: Entry, table: str, key: Key, **values: Any) -> None:
        self.rows[table].setdefault(key, {}).update(values)
        self.seq[table, key] = entry.seq

    def _request(self, entry: Entry, data: Mapping[str, Any]) -> None:
        first = {"state": "queued", "epoch": 0, "inbox": 0, "ended_at": None, "summary": {}, **_NOTHING_ASKED}
        moments = {"created_at": entry.at, "reported_at": _moment(data["reported_at"])}
        self._tell(entry, "runs", _ONE, **first, **{**data, **moments})

    def _decision(self, entry: Entry, data: dict[str, Any]) -> None:
        key = data.pop("question"), data.pop("person")
        self._tell(entry, "decisions", key, **{**data, "at": _moment(data["at"])})
        if not key[0].startswith(REVIEW):
            self._tell(entry, "runs", _ONE, inbox=self.rows["runs"][_ONE]["inbox"] + 1)

    def _attempt(self, entry: Entry, data: dict[str, Any]) -> None:
        key = data.pop("path"), data.pop("n")
        known = self.rows["attempts"].get(key)
        first = {"seq": len(self.rows["attempts"]) + 1, "intent": {}, "result": {}, "started_at": entry.at}
        ended = known["ended_at"] if known else None
        if ended is None and data["state"] not in _UNSETTLED:
            ended = entry.at
        self._tell(entry, "attempts", key, **{**({} if known else first), **data, "ended_at": ended})


def _moment(text: str) -> str:
    return stamp(datetime.fromisoformat(text))
