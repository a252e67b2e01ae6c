"""The secrets of a run: had from their places when first needed, and masked everywhere from then on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from threading import Lock

from hisauto.errors import HisautoError, NotFound, Refused
from hisauto.model.problems import did_you_mean
from hisauto.redact import SHORTEST, Redactor


class Secrets:
    """A site's secrets by name. Each is asked for once; thread-safe."""

    def __init__(self, names: Collection[str], ask: Callable[[str], str]) -> None:
        """``ask`` has the value of a name, or raises ``HisautoError`` without quoting anything that is secret."""
        self.names = frozenset(names)
        self.redactor = Redactor()
        self._ask = ask
        self._values: dict[str, str] = {}
        self._mutex = Lock()

    def check(self, name: str) -> None:
        """That the site has it. Raises ``NotFound``."""
        if name not in self.names:
            hint = did_you_mean(name, sorted(self.names)) or "list it under `secrets:` in hisauto.yml"
            raise NotFound(f"this site has no secret '{name}'", hint=hint)

    def value(self, name: str) -> str:
        """Its value. Raises ``NotFound``, ``Refused`` for one that can't be masked, or why it can't be had."""
        self.check(name)
        with self._mutex:
            if name not in self._values:
                found = self._had(name)
                if len(found) < SHORTEST:
                    raise Refused(
                        f"the secret '{name}' is shorter than {SHORTEST} characters: masks could not hide it",
                        hint="choose a longer one",
                    )
                self.redactor.learn(found)
                self._values[name] = found
            return self._values[name]

    def _had(self, name: str) -> str:
        try:
            return self._ask(name)
        except HisautoError as e:
            raise type(e)(f"the secret '{name}' can't be had: {e}", hint=e.hint) from None
