"""Text on its way to a terminal."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.audit.entry import Entry
from hisauto.cli import language
from hisauto.cli.auditing import read_published
from hisauto.cli.lines import line
from hisauto.cli.running import read_reported
from hisauto.cli.terminal import clean, duration
from hisauto.cli.words import title
from hisauto.errors import UsageError


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]\x9b\x9d0;mJ\x07\\\r\n\t\u202e"))))
def test_clean_text_controls_nothing(text: str) -> None:
    for lines in (False, True):
        shown = clean(text, lines=lines)
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown.replace("\n", "" if lines else "\n"))
        assert lines or "\n" not in shown
        assert clean(shown, lines=lines) == shown


@given(st.text(alphabet=st.characters(whitelist_categories=("L", "N", "P", "S", "Zs"))))
def test_clean_text_leaves_plain_text_alone(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("\x1bP1;2|x\x1b\\after", "after"),
        ("a\x00b", "a\ufffdb"),
        ("50%\r100%", "50% | 100%"),
        ("a\tb", "a    b"),
        ("\x1b", ""),
        ("\x1b]0;never ended", ""),
    ],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.34, "0.3s"), (9.96, "10s"), (59.6, "1m00s"), (61, "1m01s"), (3599.7, "1h00m"), (7380, "2h03m"),
     (90000, "1d01h"), (-5, "-5.0s"), (timedelta(minutes=4, seconds=5), "4m05s")],
)  # fmt: skip
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@given(st.floats(min_value=0, max_value=10**8))
def test_a_duration_is_never_off_by_more_than_its_last_digit(seconds: float) -> None:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    shown = duration(seconds)
    read = sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)([smhd])", shown))
    assert abs(read - seconds) <= (0.06 if "." in shown else units[shown[-1]])


NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC).astimezone()


def test_reported_is_the_last_time_it_was_so_late() -> None:
    earlier, later = NOW - timedelta(minutes=9), NOW + timedelta(minutes=9)
    assert read_reported(earlier.strftime("%H:%M:%S"), NOW) == earlier
    assert read_reported(later.strftime("%H:%M"), NOW) == later - timedelta(days=1)
    assert read_reported("2026-11-23T02:51:00Z", NOW) == earlier
    with pytest.raises(UsageError):
        read_reported("2026-11-23T04:00:00Z", NOW)


def test_a_line_is_one_line_and_can_be_split_as_a_shell_does() -> None:
    import shlex

    entry = Entry(3, "2026-11-23T03:00:00.000Z", "attempt.failed", "r-1", "node-1",
                  {"path": "4[db2]", "why": "it's\nnot \x1b[2Jso", "result": {}}, "0" * 64)  # fmt: skip
    assert shlex.split(line(entry)) == [
        "2026-11-23T03:00:00.000Z", "r-1", "attempt.failed", "node-1", "path=4[db2]", "why=it's | not so",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("env", "shown"),
    [("zh_CN.UTF-8", "切换"), ("zh", "切换"), ("en_GB", "switch"), ("de_DE", "switch"), ("C", "switch")],
)
def test_the_title_is_in_the_users_language(env: str, shown: str) -> None:
    language.use(language.choose([], {"LANG": env}))
    assert title({"en": "switch", "zh": "切换"}) == shown


def test_published_notes_are_read_one_by_one_and_damage_is_kept(tmp_path: Path) -> None:
    one, two = "log\n1\nAA==\n\n— a b=\n", "log\n2\nAA==\nat x\n\n— a b=\n— c d=\n"
    file = tmp_path / "published"
    file.write_text(one + "\n" + two + "\n")
    assert read_published(file) == [one, two]
    file.write_text(one + "\nrubbish\n\n" + two)
    assert read_published(file) == [one, "rubbish", two]
