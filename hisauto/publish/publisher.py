"""Brings checkpoints to their places: in the background, again until it works, and never in a run's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from hisauto.errors import HisautoError
from hisauto.publish.place import Place

AGAIN = 15.0
"""Seconds until a place that failed is tried again."""
LAST = 10.0
"""Seconds that a node which ends gives its places to take the rest."""
_BATCH = 50

log = logging.getLogger("hisauto.publish")


class Checkpoints(Protocol):
    """What is on record of checkpoints and their places. ``hisauto.store`` implements it."""

    def unpublished(self, place: str, limit: int) -> Sequence[tuple[int, str]]:
        """Size and text of those that are not known to have reached the place, the smallest first."""

    def mark_published(self, place: str, size: int) -> None: ...

    def mark_unpublished(self, place: str, why: str) -> None: ...


class Publisher:
    """Each place has a thread of its own: a dead one delays no other."""

    def __init__(self, log: Checkpoints, places: Iterable[Place]) -> None:
        self._log = log
        self.places = tuple(places)
        self._news = {place.name: threading.Event() for place in self.places}
        self._ending = threading.Event()
        self._working = False

    def push(self) -> None:
        """Have what is new published: now, or by the threads that are at it."""
        if self._working:
            for news in self._news.values():
                news.set()
        elif self.places:
            with ThreadPoolExecutor(len(self.places)) as pool:
                list(pool.map(self._push, self.places))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Threads that publish, for as long as a node works."""
        threads = [threading.Thread(target=self._work, args=(place,), daemon=True) for place in self.places]
        self._working = True
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self.push()
            end = monotonic() + LAST
            for thread in threads:
                thread.join(max(0.0, end - monotonic()))

    def _work(self, place: Place) -> None:
        news = self._news[place.name]
        ending = False
        while not ending:
            news.wait(AGAIN)
            news.clear()
            ending = self._ending.is_set()  # asked first: what was signed before is brought there once more
            try:
                self._push(place)
            except Exception:
                log.exception("%s: nothing is published there now; it is tried again", place.name)
        place.close()

    def _push(self, place: Place) -> None:
        while pending := self._log.unpublished(place.name, _BATCH):
            try:
                place.append([text for _, text in pending])
            except HisautoError as error:
                log.warning("%s: not published: %s", place.name, error)
                self._log.mark_unpublished(place.name, str(error))
                return
            self._log.mark_published(place.name, pending[-1][0])
