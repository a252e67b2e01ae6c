"""A file on another host, over the product's own transport: strict host keys, no agent forwarded."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from hisauto.errors import HisautoError
from hisauto.model.transport import Completed, Script, Session

_LIMIT = 20.0
"""Seconds for one script there."""
_PIECE = 4 << 20
"""Bytes that are read at once."""
_APPEND = """set -eu
file={file}
# Torn by a crash in the middle of the last one? It stays, and a new one begins behind it.
if [ -s "$file" ] && [ -n "$(tail -c 1 -- "$file")" ]; then printf '\\n\\n' >>"$file"; fi
printf %s {text} >>"$file"
sync -- "$file"
"""


class HostPlace:
    """Each checkpoint is on that host's disk when ``append`` returns."""

    answers = True

    def __init__(self, host: str, path: str, open_session: Callable[[], Session]) -> None:
        """``open_session`` is called when there is something to say, and again after each failure."""
        self.name = f"{host}:{path}"
        self._path = path
        self._open = open_session
        self._session: Session | None = None

    def append(self, notes: Sequence[str]) -> None:
        text = "".join(f"{one}\n" for one in notes)
        self._run(_APPEND.format(file=shlex.quote(self._path), text=shlex.quote(text)))

    def read(self) -> str | None:
        file, found = shlex.quote(self._path), bytearray()
        while True:
            part = f"[ -e {file} ] || exit 0; tail -c +{len(found) + 1} -- {file} | head -c {_PIECE}\n"
            piece = self._run(part).out
            found += piece
            if len(piece) < _PIECE:
                return found.decode(errors="replace")

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _run(self, text: str) -> Completed:
        try:
            if self._session is None:
                self._session = self._open()
            done = self._session.probe(Script(text, timeout=_LIMIT))
        except HisautoError:
            self.close()
            raise
        if done.how != "exit" or done.rc != 0:
            said = " ".join(done.err.decode(errors="replace").split())[:200]
            ended = f"{done.how} {done.rc}" if done.how == "exit" else f"no end within {_LIMIT:g} s"
            raise HisautoError(f"{self.name} can't be used: {said or ended}")
        return done
