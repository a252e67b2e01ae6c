"""Windows and freezes: the wall clock of their zone, over midnight and through both jumps of summer time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.model.world import Permission
from hisauto.site.settings import Settings
from hisauto.site.windows import DAYS, Span, instant, permission

CHINA = "Asia/Shanghai"
BERLIN = "Europe/Berlin"  # 2027: to summer time on 28 March (02:00 to 03:00), back on 31 October (03:00 to 02:00)
SITE = {
    "windows": {
        "night": {"days": ["tue", "thu"], "from": "22:00", "to": "02:00", "zone": CHINA},
        "noon": [{"days": "sat", "from": "12:00", "to": "13:00", "zone": CHINA},
                 {"days": "sat", "from": "13:00", "to": "24:00", "zone": CHINA},
                 {"days": "sun", "from": "00:00", "to": "01:00", "zone": CHINA}],
        "always": {"from": "00:00", "to": "24:00", "zone": CHINA},
        "early": {"days": "sun", "from": "02:15", "to": "04:00", "zone": BERLIN},
        "gone": {"days": "sun", "from": "02:15", "to": "02:45", "zone": BERLIN},
    },
    "freezes": [{"reason": "Spring Festival", "from": "2027-02-05", "to": "2027-02-07", "zone": CHINA,
                 "except": ["inspection", "routine"]}],
}  # fmt: skip
# 2027-02-02 is a Tuesday, 2027-02-04 a Thursday.


def asked(kind: str, window: str | None, at: str, zone: str = CHINA, site: dict[str, Any] = SITE) -> Permission:
    settings = Settings.model_validate(site)
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone))
    return permission(kind, window, settings.windows, settings.freezes, moment)


@pytest.mark.parametrize(
    ("window", "at", "granted", "until"),
    [
        ("night", "2027-02-02 21:59:59", False, "2027-02-02 22:00"),
        ("night", "2027-02-02 22:00:00", True, "2027-02-03 02:00"),
        ("night", "2027-02-03 01:59:59", True, "2027-02-03 02:00"),
        ("night", "2027-02-03 02:00:00", False, "2027-02-04 22:00"),
        ("night", "2027-02-03 22:30:00", False, "2027-02-04 22:00"),
        # The freeze begins within the window of Thursday, and ends on Sunday night.
        ("night", "2027-02-04 23:00:00", True, "2027-02-05 00:00"),
        ("night", "2027-02-05 00:30:00", False, "2027-02-09 22:00"),
        ("noon", "2027-02-13 12:30:00", True, "2027-02-14 01:00"),
        ("noon", "2027-02-06 12:30:00", False, "2027-02-13 12:00"),
        ("always", "2027-02-06 12:30:00", False, "2027-02-08 00:00"),
        ("always", "2027-02-01 00:00:00", True, "2027-02-05 00:00"),
    ],
)
def test_when_it_is_open_and_when_that_changes(window: str, at: str, granted: bool, until: str) -> None:
    said = asked("change", window, at)
    assert (said.granted, said.bound) == (granted, True), said
    assert said.until == datetime.fromisoformat(until).replace(tzinfo=ZoneInfo(CHINA))
    assert f"{until} {CHINA}" in said.why


@pytest.mark.parametrize(
    ("window", "at", "granted", "until"),
    [
        # 02:15 is never shown on that day: it opens as the clock jumps from 02:00 to 03:00.
        ("early", "2027-03-28 01:59:59", False, "2027-03-28 03:00"),
        ("early", "2027-03-28 03:00:00", True, "2027-03-28 04:00"),
        # Neither end is shown: that week there is no window.
        ("gone", "2027-03-28 03:00:00", False, "2027-04-04 02:15"),
        ("gone", "2027-03-28 01:00:00", False, "2027-04-04 02:15"),
        # 02:15 is shown twice: it opens the first time.
        ("early", "2027-10-31 02:14:59", False, "2027-10-31 02:15"),
        ("early", "2027-10-31 02:15:00", True, "2027-10-31 04:00"),
        ("gone", "2027-10-31 02:30:00", True, "2027-10-31 02:45"),
    ],
)
def test_through_the_jumps_of_summer_time(window: str, at: str, granted: bool, until: str) -> None:
    said = asked("change", window, at, BERLIN)
    assert said.granted is granted, said
    assert said.until == datetime.fromisoformat(until).replace(tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)


def test_a_time_that_comes_twice_is_meant_the_first_time() -> None:
    second = datetime(2027, 10, 31, 2, 30, tzinfo=ZoneInfo(BERLIN), fold=1)
    settings = Settings.model_validate(SITE)
    assert not permission("change", "gone", settings.windows, settings.freezes, second).granted
    assert permission("change", "gone", settings.windows, settings.freezes, second.replace(fold=0)).granted


FROZEN = "2027-02-06 12:30"


@pytest.mark.parametrize(
    ("kind", "window", "at", "granted", "bound", "said"),
    [
        ("emergency", None, FROZEN, True, False, "bound by no window; the freeze 'Spring Festival' is on"),
        ("emergency", None, "2027-03-06 12:30", True, False, "an emergency is bound by no window"),
        ("change", None, "2027-03-06 12:30", False, True, "names none"),
        ("change", "nihgt", "2027-03-06 12:30", False, True, "no window 'nihgt'"),
        ("drill", None, FROZEN, False, True, "the freeze 'Spring Festival' is on; it opens Mon 2027-02-08 00:00"),
        ("drill", None, "2027-03-06 12:30", True, True, "no freeze is on"),
        ("drill", "night", "2027-03-06 12:30", False, True, "window 'night' is closed; it opens Tue 2027-03-09 22:00"),
        ("routine", None, FROZEN, True, False, "bound by no window"),
        ("inspection", None, FROZEN, True, False, "bound by no window"),
        ("routine", "noon", FROZEN, True, True, "window 'noon' is open"),
    ],
)
def test_whom_it_binds(kind: str, window: str | None, at: str, granted: bool, bound: bool, said: str) -> None:
    found = asked(kind, window, at)
    assert (found.granted, found.bound) == (granted, bound), found
    assert said in found.why


def test_a_window_that_never_opens_says_so() -> None:
    freeze = {"reason": "Moving house", "from": "2027-01-01", "to": "2029-01-01", "zone": CHINA}
    said = asked("change", "night", "2027-02-02 22:30", site={**SITE, "freezes": [freeze]})
    assert (said.granted, said.until) == (False, None)
    assert "does not open within" in said.why
    said = asked("change", "always", "2027-02-02 22:30", site={**SITE, "freezes": []})
    assert (said.granted, said.until, said.why) == (True, None, "window 'always' is open")


ZONES = ("UTC", CHINA, BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(day=st.dates(date(2010, 1, 1), date(2030, 1, 1)), minutes=st.integers(0, 24 * 60), name=st.sampled_from(ZONES))
def test_an_instant_is_the_first_that_the_wall_clock_shows_or_passes(day: date, minutes: int, name: str) -> None:
    zone = ZoneInfo(name)
    wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
    found = instant(day, minutes, zone)

    def shown(at: datetime) -> datetime:
        return at.astimezone(zone).replace(tzinfo=None)

    assert shown(found) >= wall
    assert shown(found - timedelta(seconds=1)) < wall


@given(at=MOMENTS, start=st.integers(0, 1439), length=st.integers(1, 1439), name=st.sampled_from(ZONES),
       days=st.sets(st.sampled_from(DAYS), min_size=1))  # fmt: skip
def test_the_answer_stays_until_it_is_said_to_change(
    at: datetime, start: int, length: int, name: str, days: set[str]
) -> None:
    span = Span.model_validate({"from": start, "to": (start + length) % 1440, "zone": name, "days": sorted(days)})
    said = permission("change", "w", {"w": (span,)}, (), at)
    assert said.until is not None and said.until > at
    before = permission("change", "w", {"w": (span,)}, (), said.until - timedelta(seconds=1))
    after = permission("change", "w", {"w": (span,)}, (), said.until)
    assert before.granted is said.granted
    assert after.granted is not said.granted
