"""``audit status`` and ``audit publish``: how far the log is signed, and where its checkpoints are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hisauto.cli.language import tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, say
from hisauto.clock import stamp

if TYPE_CHECKING:
    from hisauto.publish.place import Place
    from hisauto.store.rows import Published

FAILING = 1


@click.command()
@reading
def status(session: Session) -> int:
    """How many entries there are, how many are signed, and which checkpoint is at which place. A place that fails is
    tried again every 15 s while a node works; nothing waits for it.

    \b
    Examples:
      hisauto audit status
      hisauto audit status --json | jq '.places[] | select(.failing_since)'
    \b
    Exit codes: 0 · 1 a place fails: checkpoints are not published there
    """
    return _show(session)


@click.command()
@reading
def publish(session: Session) -> int:
    """Sign the log as it is now, and bring what is new to every place at once: to see whether a place works.

    \b
    Examples:
      hisauto audit publish
    \b
    Exit codes: 0 · 1 a place fails: checkpoints are not published there
    """
    session.app.publish()
    for place in session.app.publisher.places:
        place.close()
    return _show(session)


def _show(session: Session) -> int:
    store = session.app.store
    start, head = store.bounds()
    size = head.size
    signed = max((one.size for one in store.checkpoints()), default=0)
    known = [(place, store.published(place.name)) for place in session.app.publisher.places]
    if session.json:
        emit(
            {
                "begins": start.size,
                "size": size,
                "signed": signed,
                "places": [_as_json(place, one, signed) for place, one in known],
            }
        )
    else:
        say(tr(f"{size} entries, the first {signed} signed"))
        if start.size:
            say(tr(f"the first {start.size} are in archives"))
        for place, one in known:
            say(f"{clean(place.name)}: {clean(tr(_words(place, one, signed)))}")
    return FAILING if any(one.failing_since for _, one in known) else 0


def _words(place: Place, one: Published, signed: int) -> str:
    if one.failing_since:
        return f"NOT PUBLISHED beyond the first {one.size}, since {stamp(one.failing_since)}: {one.why}"
    if one.size < signed:
        return f"published up to the first {one.size}, the rest not yet"
    if not place.answers:
        return f"sent up to the first {one.size}; nobody can tell from here whether it arrived"
    return f"published up to the first {one.size}"


def _as_json(place: Place, one: Published, signed: int) -> dict[str, object]:
    return {
        "place": place.name,
        "size": one.size,
        "pending": one.size < signed,
        "arrival_known": place.answers,
        "at": stamp(one.at) if one.at else None,
        "failing_since": stamp(one.failing_since) if one.failing_since else None,
        "why": one.why,
    }
