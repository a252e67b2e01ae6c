"""One call of the command line: the site that it is about, and who makes it."""

from __future__ import annotations

import json as jsonlib
import os
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hisauto.app import App, Signer
from hisauto.cli.language import tr, use_sites
from hisauto.cli.terminal import clean, is_terminal, note
from hisauto.errors import NotFound, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from hisauto.model.run import RunView

ASKING = ("gate", "in_doubt", "ask", "manual", "window")
"""What a person answers, of what a run can wait for."""
MOMENT = 3.0
"""Seconds that a node needs at most to read an answer and to come back to its gate."""


@dataclass
class Session:
    """What was said before and behind the command."""

    site: Path | None = None
    person: str | None = None
    key: Path | None = None
    json: bool = False
    plain: bool = False

    @cached_property
    def app(self) -> App:
        found = App.find(self.site, Path.cwd())
        use_sites(found.site.settings.site.language)
        return found

    def close(self) -> None:
        """Close what was opened."""
        opened = self.__dict__.get("app")
        if opened is not None:
            if "transports" in opened.__dict__:
                for transport in opened.transports.values():
                    transport.close()
            if "store" in opened.__dict__:
                opened.store.close()

    @property
    def color(self) -> bool:
        return not self.plain and not os.environ.get("NO_COLOR") and sys.stdout.isatty()

    @cached_property
    def console(self) -> Console:
        """For tables and screens on stdout."""
        from rich.console import Console

        # Off a terminal lines are not cut to a width that nobody has.
        width = None if sys.stdout.isatty() else 140
        return Console(no_color=not self.color, highlight=False, markup=False, emoji=False, width=width)

    def signer(self) -> Signer:
        """Who signs. A lab's keys count only for the person that is named: all of them lie side by side."""
        person = self.person or os.environ.get("HISAUTO_PERSON")
        lab = self._lab_keys()
        if person is None and lab:
            raise UsageError(
                "who are you? The lab has the keys of several people", hint=f"--as {'|'.join(sorted(lab))}"
            )
        further = {person: lab[person]} if person is not None and person in lab else None
        return self.app.signer(person, self.key, further)

    def _lab_keys(self) -> dict[str, Path]:
        path = self.app.site.state / "lab.json"
        try:
            keys = jsonlib.loads(path.read_text())["keys"]
        except (OSError, ValueError, KeyError):
            return {}
        return {person: Path(file) for person, file in keys.items()}

    def run(self, part: str | None, *, waiting: bool = False, or_last: bool = False) -> RunView:
        """By its id or a part of it; ``-`` or nothing: the only open one.

        ``waiting``: the only one that asks something; ``or_last``: the newest, if none is open.
        """
        if part not in (None, "-"):
            assert part is not None
            return self.app.store.find_run(part)
        found = self._asking() if waiting else self._open()
        what = "waits for an answer" if waiting else "is open"
        if not found and or_last:
            found = self.app.store.runs(limit=1)
        if not found:
            raise NotFound(f"no run {what}", hint="hisauto runs")
        if len(found) > 1:
            raise UsageError(f"more than one run {what}", hint=f"name it: {', '.join(view.id for view in found[:10])}")
        return found[0]

    def _open(self) -> list[RunView]:
        return [view for view in self.app.store.runs(limit=1000) if not view.state.ended]

    def _asking(self) -> list[RunView]:
        """One that is reading another person's answer asks again in a moment: it is given that."""
        deadline = time.monotonic() + MOMENT
        while True:
            found = self._open()
            asking = [view for view in found if view.question and view.question["kind"] in ASKING]
            if asking or not found or time.monotonic() >= deadline:
                return asking
            time.sleep(0.1)

    def confirm(self, question: str, yes: bool) -> bool:
        """Ask, unless ``yes`` was given. Off a terminal nobody can be asked, and silence is no yes."""
        if yes:
            return True
        if not is_terminal():
            raise UsageError("nobody can be asked here: this is no terminal", hint="say --yes if you mean it")
        import click

        if click.confirm(clean(tr(question)), err=True):
            return True
        note(tr("nothing was done"))
        return False
