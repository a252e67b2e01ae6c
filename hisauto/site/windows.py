"""When something may run: weekly windows and freezes. Pure: the moment is an argument.

A window's times are those of the wall clock in its zone. A time that the clock shows twice (summer time ends) is meant
the first time; one that it never shows (summer time begins) is the moment of the jump.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hisauto.model.world import Permission
from hisauto.site.fields import Entry

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KINDS = ("drill", "change", "inspection", "routine")
"""What a freeze can be told to leave out. An emergency is never bound."""
AHEAD = 400
"""Days that are looked ahead for the next opening."""
DAY = timedelta(days=1)


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected a time zone like Asia/Shanghai, not {value!r}") from None


def _minutes(value: Any) -> Any:
    """Minutes since midnight of ``22:00``; up to ``24:00``."""
    if isinstance(value, str):
        match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)|24:00", value)
        if match is None:
            raise ValueError(f"expected a time of day like 22:00, not {value!r}")
        return 24 * 60 if value == "24:00" else int(match[1]) * 60 + int(match[2])
    return value


def _day(value: str) -> str:
    if value not in DAYS:
        raise ValueError(f"expected a day ({', '.join(DAYS)}), not {value!r}")
    return value


def _kind(value: str) -> str:
    if value == "emergency":
        raise ValueError("an emergency is bound by no freeze: leave it out here")
    if value not in KINDS:
        raise ValueError(f"expected a kind of runbook ({', '.join(KINDS)}), not {value!r}")
    return value


def day(value: Any) -> Any:
    """The day of ``2027-02-05``. Raises ``ValueError``."""
    if isinstance(value, str):
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            raise ValueError(f"expected a date like 2027-02-05, not {value!r}") from None
    return value


def listed(value: Any) -> Any:
    """One where several may stand is a list of one."""
    return [value] if isinstance(value, str | Mapping) else value


Zone = Annotated[str, AfterValidator(_zone)]
Minutes = Annotated[int, BeforeValidator(_minutes)]


class Span(Entry):
    """Some hours on some days of the week. ``to`` up to ``from``: on the next day."""

    days: Annotated[tuple[Annotated[str, AfterValidator(_day)], ...], BeforeValidator(listed)] = DAYS
    from_: Minutes = Field(alias="from")
    to: Minutes
    zone: Zone

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.from_ == 24 * 60:
            raise ValueError("a window that begins at 24:00 begins on the next day: 00:00")
        if self.from_ == self.to:
            raise ValueError("it ends when it begins; a whole day is from 00:00 to 24:00")
        return self

    def on(self, day: date) -> tuple[datetime, datetime] | None:
        """When the window of this day opens and closes; None: it has none."""
        if DAYS[day.weekday()] not in self.days:
            return None
        zone = ZoneInfo(self.zone)
        end = day if self.to > self.from_ else day + DAY
        opens, closes = instant(day, self.from_, zone), instant(end, self.to, zone)
        return (opens, closes) if opens < closes else None  # summer time can swallow it whole


Windows = Annotated[tuple[Span, ...], BeforeValidator(listed), Field(min_length=1)]


class Freeze(Entry):
    """From the beginning of one day to the end of another nothing runs but emergencies and what is left out."""

    reason: Annotated[str, Field(min_length=1)]
    from_: Annotated[date, BeforeValidator(day)] = Field(alias="from")
    to: Annotated[date, BeforeValidator(day)]
    zone: Zone
    except_: Annotated[tuple[Annotated[str, AfterValidator(_kind)], ...], BeforeValidator(listed)] = Field(
        ("inspection",), alias="except"
    )

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.to < self.from_:
            raise ValueError("it ends before it begins")
        return self

    @property
    def span(self) -> tuple[datetime, datetime]:
        zone = ZoneInfo(self.zone)
        return instant(self.from_, 0, zone), instant(self.to + DAY, 0, zone)


def instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The moment (UTC) when the wall clock first shows so many minutes after midnight, or jumps over that."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if before <= after:
        return before
    # It jumped over it. ``after`` lies before the jump and ``before`` behind it, by the offsets they were made with.
    low, high = after, before
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if middle.astimezone(zone).replace(tzinfo=None) > wall else (middle, high)
    return high.replace(microsecond=0)


def permission(
    kind: str, window: str | None, windows: Mapping[str, Sequence[Span]], freezes: Iterable[Freeze], at: datetime
) -> Permission:
    """Whether a runbook of this kind, with this window, may begin to change something at this moment.

    The one place where that is said: plan, request, guards and each batch ask here.
    """
    at = at.astimezone(UTC)
    if kind == "emergency":
        on = [f"the freeze '{f.reason}' is on" for f in freezes if f.span[0] <= at < f.span[1]]
        return Permission(True, "; ".join(["an emergency is bound by no window", *on]), bound=False)
    if window is None and kind == "change":
        return Permission(False, "a change needs a window, and its runbook names none", bound=True)
    if window is not None and window not in windows:
        return Permission(False, f"this site has no window '{window}'", bound=True)
    binding = [f for f in freezes if kind not in f.except_]
    spans = windows[window] if window is not None else None
    if spans is None and not binding:
        return Permission(True, f"a runbook of kind {kind} is bound by no window", bound=False)
    closed = _closed(window, spans, binding, at)
    if not closed:
        until = _next(spans, binding, at, opens=False)
        named = f"window '{window}' is open" if window is not None else "no freeze is on"
        return Permission(True, f"{named}{f' until {_shown(until, spans, binding)}' if until else ''}", True, until)
    opens = _next(spans, binding, at, opens=True)
    when = f"it opens {_shown(opens, spans, binding)}" if opens else f"it does not open within {AHEAD} days"
    return Permission(False, f"{closed}; {when}", True, opens)


def _closed(window: str | None, spans: Sequence[Span] | None, freezes: Sequence[Freeze], at: datetime) -> str:
    """Why it is closed; empty when it is open."""
    for freeze in freezes:
        if freeze.span[0] <= at < freeze.span[1]:
            return f"the freeze '{freeze.reason}' is on"
    if spans is not None and not any(a <= at < b for a, b in _intervals(spans, at, 2)):
        return f"window '{window}' is closed"
    return ""


def _next(spans: Sequence[Span] | None, freezes: Sequence[Freeze], at: datetime, *, opens: bool) -> datetime | None:
    """The next moment at which it is open, or closed."""
    edges = {edge for freeze in freezes for edge in freeze.span}
    edges |= {edge for interval in _intervals(spans or (), at, AHEAD) for edge in interval}
    for edge in sorted(e for e in edges if e > at):
        if bool(_closed("", spans, freezes, edge)) is not opens:
            return edge
    return None


def _intervals(spans: Sequence[Span], at: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """The windows that are open at a moment or begin within so many days of it."""
    for span in spans:
        today = at.astimezone(ZoneInfo(span.zone)).date()
        for n in range(-2, days):
            if (interval := span.on(today + n * DAY)) is not None:
                yield interval


def _shown(moment: datetime, spans: Sequence[Span] | None, freezes: Sequence[Freeze]) -> str:
    """By the wall clock of the window, or of the freeze where there is none."""
    zone = ZoneInfo((spans[0] if spans else freezes[0]).zone)
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M} {zone.key}"
