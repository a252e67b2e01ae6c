"""A journal that a schedule looks at: what is written, and what happens to people and process at a write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hisauto.testing.mortal import Mortal, named


@dataclass
class Watched(Mortal):
    """A ``Mortal`` that tells of each write when it is committed."""

    written_down: Callable[[str, tuple[Any, ...], dict[str, Any]], None] = field(default=lambda *_: None)

    def _write(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **more: Any) -> Any:
            got = real(*args, **more)
            self.written_down(named(name, args), args, more)
            return got

        return super()._write(name, write)
