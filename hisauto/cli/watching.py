"""Watching a run until it ends: a live screen on a terminal, lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from hisauto.audit.entry import Entry
from hisauto.cli.language import tr
from hisauto.cli.lines import event, in_order, line, output_event, output_lines
from hisauto.cli.nodes import Keeper
from hisauto.cli.screen import screen
from hisauto.cli.session import Session
from hisauto.cli.snapshot import Follower
from hisauto.cli.terminal import clean, emit, note, say, unicode
from hisauto.cli.words import GOES_ON, exit_code
from hisauto.errors import RecordAway
from hisauto.model.run import RunView

POLL = 0.15
"""Seconds between two looks at the record."""
REDRAW = 0.2
NODE_EVERY = 1.0


def follow(session: Session, run: str, keeper: Keeper | None = None) -> int:
    """Watch until the end, or Ctrl-C, which ends the watching and not the run. The run's exit code, or ``GOES_ON``."""
    watch = _on_screen if session.console.is_terminal and not session.json else _in_lines
    try:
        view = watch(session, run, keeper or Keeper(session.app))
    except KeyboardInterrupt:
        note("\n" + tr(f"{run} goes on. To watch it again: hisauto watch {run}"))
        return GOES_ON
    return exit_code(view.state)


def _on_screen(session: Session, run: str, keeper: Keeper) -> RunView:
    follower = Follower(session.app, run)
    record = _Record()
    how, rich_signs = f"hisauto watch {run}", unicode()  # asked now: Live puts its own file before stdout
    with Live(Text(""), console=session.console, auto_refresh=False, transient=True) as live:
        looked = drawn = 0.0
        while True:
            now = time.monotonic()
            with record.reading():
                if now - looked >= NODE_EVERY:
                    keeper.look()
                    looked = now
                if now - drawn >= REDRAW:
                    snapshot = follower.snapshot()
                    if snapshot.view.state.ended:
                        break
                    live.update(screen(snapshot, unicode=rich_signs, follow=how), refresh=True)
                    drawn = now
            time.sleep(POLL)
    # Once more, whole, and where it stays: a screen cuts what is longer than itself.
    session.console.print(screen(snapshot, unicode=unicode()))
    return snapshot.view


def _in_lines(session: Session, run: str, keeper: Keeper) -> RunView:
    follower = Follower(session.app, run)
    record = _Record()
    looked = 0.0
    while True:
        with record.reading():
            view, entries, outputs = follower.events()
            for item in in_order(entries, outputs):
                if session.json:
                    emit(event(item) if isinstance(item, Entry) else output_event(run, item), line=True)
                else:
                    for text in [line(item)] if isinstance(item, Entry) else output_lines(run, item):
                        say(text)
            if view.state.ended:
                return view
            if time.monotonic() - looked >= NODE_EVERY:
                keeper.look()
                looked = time.monotonic()
        time.sleep(POLL)


class _Record:
    """The record goes away for a while, and whoever watches goes on watching: said once on stderr, and once again."""

    def __init__(self) -> None:
        self._away = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        try:
            yield
        except RecordAway as e:
            if not self._away:
                note(tr(f"warning: {clean(str(e))}"))
                note(tr("this goes on watching; what the run has begun on hosts goes on there"))
            self._away = True
        else:
            if self._away:
                note(tr("the record is back"))
            self._away = False
