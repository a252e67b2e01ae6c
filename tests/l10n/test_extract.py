"""What the extractor takes for a message, and how it writes it."""

from __future__ import annotations

import pytest

from l10n.extract import library, messages

CASES: list[tuple[str, str, list[str]]] = [
    ("prose", 'x = "the host is down"', ["the host is down"]),
    ("one word is none", 'x = "running"', []),
    ("one word that is marked", 'x = tr("running")', ["running"]),
    ("a constant that is marked", 'X = message("WHERE")', ["WHERE"]),
    ("values are slots", 'raise E(f"{host.name} has no {part!r} here")', ["{name} has no {part} here"]),
    ("a reason is a message itself", 'x = f"never started: {error}"', ["never started: {why}"]),
    ("two of a name", 'x = f"from {a.name} to {b.name} now"', ["from {name} to {name2} now"]),
    ("two side by side are one", 'x = f"see also {a}{b} there"', ["see also {a} there"]),
    ("braces are doubled", 'x = "write {{ params.x }} instead"', ["write {{{{ params.x }}}} instead"]),
    ("each way is a sentence",
     'x = f"it is {\'up now\' if u else \'down\'} again"', ["it is up now again", "it is down again"]),
    ("a default is a way", "x = f\"log {name or 'of nobody'} ends\"", ["log {name} ends", "log of nobody ends"]),
    ("strings that are joined", 'x = "one thing " + f"and {other}"', ["one thing and {other}"]),
    ("a name that stands for a text", 'what = "is open" if o else "waits"\nraise E(f"no run {what}")',
     ["no run is open", "no run waits"]),
    ("a name that is used elsewhere too", 'what = "is open now"\nsay(what)\nraise E(f"no run {what}")',
     ["is open now", "no run is open now"]),
    ("a name of two values", 'def f():\n if a:\n  w = "all of it"\n else:\n  w = "a part"\n return f"{n} are {w}"',
     ["{n} are all of it", "{n} are a part"]),
    ("a loop over texts", 'for name in ("RUN", "STATE"):\n add(tr(name))', ["RUN", "STATE"]),
    ("a parameter is not known", 'def f(what):\n return f"there is no {what} here"', ["there is no {why} here"]),
    ("no docstrings", '"""A module that says much."""\ndef f():\n """It does so."""', []),
    ("no log", 'log.info("the drive broke off")\nassert x, "it can not be"', []),
    ("no SQL, no style", 'a("select a from b")\nb("bold red")', []),
    ("no pattern", 'a = compile("Failed to parse (.+)")\nb = r"a word \\d+ here"', []),
    ("no comparison, no command", 'a = "status >= 200 and status < 300"\nhint("hisauto show x")', []),
    ("an error's default", 'class X(HisautoError):\n """It does not fit.\n\n More.\n """', ["It does not fit."]),
    ("a command's help",
     '@click.command()\ndef f():\n """Says\n what. Now.\n\n \\b\n Examples:\n  hisauto f\n \\b\n Exit codes: 0\n """',
     ["Says what. Now.", "Examples:", "Exit codes: 0"]),
]  # fmt: skip


@pytest.mark.parametrize(("source", "found"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_messages(source: str, found: list[str]) -> None:
    assert [message.text for message in messages(source)] == found


def test_too_many_ways_stay_slots_and_are_messages_of_their_own() -> None:
    ways = " ".join(f"{{'the way {n}' if a{n} else 'no way {n}'}}" for n in range(6))
    found = [message.text for message in messages(f'x = f"it goes by {ways}"')]
    assert found[0] == "it goes by {why} {why2} {why3} {why4} {why5} {why6}"
    assert sorted(found[1:]) == sorted(f"{word} way {n}" for n in range(6) for word in ("the", "no"))


def test_where_it_stands() -> None:
    assert [(m.line, m.text) for m in messages('\n\nx = "the third line"\n')] == [(3, "the third line")]


def test_a_librarys_messages_are_those_it_hands_to_gettext() -> None:
    source = '_("Got {n} of {message}.")\nngettext("one file", "{n} files", n)\nother("not this one")'
    assert [m.text for m in library(source)] == ["Got {n} of {why}.", "one file", "{n} files"]
