"""Faults that are put into a node, one at a time, to see that the campaign notices them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hisauto.model.run import Attempt, AttemptState
from hisauto.store.journal import StoreJournal
from hisauto.store.store import Store


def none() -> None:
    """As it is."""


def late_intent() -> None:
    """What is about to be done goes on record when it is done."""
    whole, owed = StoreJournal.record, dict[tuple[str, int], dict[str, Any]]()

    def record(self: StoreJournal, path: str, n: int, state: AttemptState, **more: Any) -> Attempt:
        if state is AttemptState.started and "place" in more["intent"]:
            owed[path, n] = more
            return Attempt(path, n, state, more["name"], more["host"], self.epoch, more["intent"])
        if (path, n) in owed:
            whole(self, path, n, AttemptState.started, **owed.pop((path, n)))
        return whole(self, path, n, state, **more)

    StoreJournal.record = record  # type: ignore[method-assign]


def any_epoch() -> None:
    """A node takes whatever epoch is on record for its own."""
    whole = Store.claim

    def claim(self: Store, run: str, node: str, **more: Any) -> StoreJournal:
        class Careless(StoreJournal):
            epoch = property(lambda _: self.view(run).epoch, lambda _, value: None)

        journal = whole(self, run, node, **more)
        journal.__class__ = Careless
        return journal

    Store.claim = claim  # type: ignore[method-assign]


def one_more_commit() -> None:
    """No fault: a write that wasn't there."""
    whole = StoreJournal.move

    def move(self: StoreJournal, *args: Any, **more: Any) -> None:
        whole(self, *args, **more)
        self.note(f"moved {args[0]}", True)

    StoreJournal.move = move  # type: ignore[method-assign]


PLANTS: dict[str, Callable[[], None]] = {
    "": none,
    "late intent": late_intent,
    "any epoch": any_epoch,
    "one more commit": one_more_commit,
}
