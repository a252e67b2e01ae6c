"""A journal whose process dies at one of its writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hisauto.model.journal import Journal

WRITES = frozenset({"note", "record", "move", "take_locks", "park", "end"})


class Killed(BaseException):
    """The process is gone."""


Death = Literal["", "before", "after"]
"""Not at this write; before it; or when it is committed."""


@dataclass
class Mortal:
    """A ``hisauto.model.journal.Journal`` that lives until ``dies`` says so."""

    journal: Journal
    dies: Callable[[int, str], Death]
    """Asked at every write with its number, from 1, and its name: ``1[a]#1 started``, ``note gate:1``, ``move
    verifying``, ``locks``, ``park gate:1``, ``end``."""
    dead: bool = False
    written: int = 0
    names: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.journal, name)
        return self._write(name, real) if name in WRITES else real

    def _write(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **more: Any) -> Any:
            if self.dead:
                raise Killed
            self.written += 1
            self.names.append(named(name, args))
            death = self.dies(self.written, self.names[-1])
            if not death:
                return real(*args, **more)
            self.dead = True
            if death == "after":
                real(*args, **more)
            raise Killed

        return write


def named(write: str, args: tuple[Any, ...]) -> str:
    """What a write is called, by its method and arguments."""
    match write:
        case "record":
            path, n, state = args[:3]
            return f"{path}#{n} {state}"
        case "note" | "move":
            return f"{write} {args[0]}"
        case "park":
            return f"park {args[1]['id']}"
        case "take_locks":
            return "locks"
        case _:
            return write
