"""A place where checkpoints are published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Place(Protocol):
    """Takes checkpoints, in the order of the log. One that comes twice does no harm."""

    @property
    def name(self) -> str:
        """As users write it; the key under which its state is on record."""

    @property
    def answers(self) -> bool:
        """Whether the place says that it has them. If not, they are sent, and nobody can tell more."""

    def append(self, notes: Sequence[str]) -> None:
        """Returns once all are there, as far as the place can tell. Raises ``HisautoError`` if that is not known."""

    def read(self) -> str | None:
        """All that was appended, or None if this can't be asked. Raises ``HisautoError`` if it could not be read."""

    def close(self) -> None: ...
