"""A file that this machine can open: beside the log, or better on a disk that is only appended to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hisauto.errors import HisautoError


@dataclass(frozen=True)
class FilePlace:
    """Each checkpoint is on the disk when ``append`` returns."""

    name: str
    path: Path
    answers: bool = True

    def append(self, notes: Sequence[str]) -> None:
        try:
            # Torn by a crash in the middle of the last one? It stays, and a new one begins behind it.
            torn = self.path.exists() and self.path.stat().st_size and not self._ends_a_line()
            with self.path.open("ab") as file:
                file.write((b"\n\n" if torn else b"") + "".join(f"{one}\n" for one in notes).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HisautoError(f"{self.path} can't be written: {error.strerror}") from error

    def read(self) -> str | None:
        try:
            return self.path.read_text(errors="replace") if self.path.exists() else ""
        except OSError as error:
            raise HisautoError(f"{self.path} can't be read: {error.strerror}") from error

    def close(self) -> None:
        pass

    def _ends_a_line(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
