"""Cases with mistakes, and what is said of them; moves that were not expected; the examples of the page."""

from __future__ import annotations

import re

import pytest

from hisauto.errors import Invalid
from hisauto.store.store import Store
from hisauto.testing.cases import read_cases
from hisauto.testing.clock import VirtualClock
from hisauto.testing.moves import Expected, differences
from hisauto.testing.performance import Performance

from . import law

CASE = """\
about: One
cases:
  - case: one
    runbook: |
      steps:
        - {name: Stop, hosts: a, set: {service: stopped}}
    moves: [a service=stopped]
    states:
      1[a]#1: done
    end: succeeded
"""


def plus(*lines: str) -> str:
    return CASE + "".join(f"    {line}\n" for line in lines)


BAD = [
    ("[]", "f.yml:1:1: a file of cases is a mapping"),
    ("about: x\n", "f.yml:1:1: 'cases' is missing"),
    (CASE.replace("moves:", "moved:"), "f.yml:7:5: unknown word 'moved'"),
    (CASE.replace("end: succeeded", "end: fine"), "f.yml:10:10: end: "),
    (CASE.replace("1: done", "1: well"), "f.yml:9:15: 1[a]#1: input should be 'skipped', 'already', "),
    (CASE.replace("[a service=stopped]", "[c service=stopped]"), "f.yml:7:12: there is no host 'c'"),
    (CASE.replace("[a service=stopped]", "[service]"), "f.yml:7:12: moves: a move names a host and what is done there"),
    (CASE.replace("[a service=stopped]", "[a: x]"), "f.yml:7:12: moves: a move is text"),
    (plus("by: nobody"), "f.yml:11:9: there is no person 'nobody'"),
    (plus("world:", "  silent: {z: up}"), "f.yml:12:15: there is no host 'z'"),
    (plus("world:", "  faults:", "    z 1[a]: {exit: 1}"), "f.yml:13:17: there is no host 'z'"),
    (plus("world:", "  faults:", "    a 1[a]: {lost: away}"),
     "f.yml:13:17: a 1[a]: expected unsent, unstarted, running or answer, not 'away'"),
    (plus("happens:", "  - {at: planned, says: {dba-9: yes}}"), "f.yml:12:29: there is no person 'dba-9'"),
    (plus("happens:", "  - {at: planned, passes: 5}"), "f.yml:12:31: passes: expected a duration"),
    (CASE.replace("runbook: |", "runbook: other\n    reason: |"), "f.yml:4:14: there is no runbook 'other'"),
    (CASE + CASE[CASE.index("  - case") :], "f.yml:11:11: this case is there twice"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD, ids=[said for _, said in BAD])
def test_a_mistake_is_named_at_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid) as error:
        read_cases(text.encode(), "f.yml", law.read_site())
    assert str(error.value).startswith(said)


WRONG = [
    (CASE, []),
    (CASE.replace("moves: [a service=stopped]", "moves: []"),
     ["move 1 is 'a service=stopped', expected: no further move"]),
    (CASE.replace("stopped]\n", "started]\n"), ["move 1 is 'a service=stopped', expected: a service=started"]),
    (CASE.replace("    states:\n      1[a]#1: done\n", ""), ["1[a]#1 is done, expected: not mentioned"]),
    (CASE.replace("1: done", "1: failed"), ["1[a]#1 is done, expected: failed"]),
    (CASE.replace("      1[a]#1", "      1[b]#1: done\n      1[a]#1"), ["1[b]#1 is nowhere, expected: done"]),
    (CASE.replace("end: succeeded", "end: partial"), ["the end is succeeded, expected: partial"]),
    (CASE.replace("end: succeeded", "end: no plan"), ["it was planned"]),
    (plus("why: because"), ["the reason is '', expected: because"]),
    (plus("left: 1[a]#1"), ["left to do by hand: nothing, expected: 1[a]#1"]),
    (plus("after: {a: {service: null}}"), ["a: service is stopped, expected: null"]),
    (plus("summary: {tolerated: [x]}"), ["the summary is "]),
    (plus("log: {gate.opened: [x]}"), ["the log's entries of kind gate.opened are []"]),
    (plus("world:", "  faults:", "    a 1[a]#2: {exit: 1}"), ["what goes wrong at a 1[a]#2 never came"]),
    (plus("happens:", "  - {at: 'gate:1', says: {dba-1: yes}}"), ["it has ended, expected: gate:1"]),
    (plus("happens:", '  - {at: planned, crash: "after 1[a]#2 done"}'),
     ["it never came to '1[a]#2 done'; it wrote: "]),
    (CASE.replace("hosts: a, ", "hosts: c, "), ["it could not be planned: "]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[" ".join(said) or "right" for _, said in WRONG])
def test_what_a_case_does_not_say_must_not_happen(
    store: Store, clock: VirtualClock, text: str, said: list[str]
) -> None:
    site, (case,) = read_cases(text.encode(), "f.yml", law.read_site())
    found = Performance(case, site, store, clock).play()
    assert len(found) == len(said)
    assert all(one.startswith(part) for part, one in zip(said, found, strict=True))


ORDERS: list[tuple[list[Expected], list[str], bool]] = [
    (["a x=1", "b x=1"], ["a x=1", "b x=1"], True),
    (["a x=1", "b x=1"], ["b x=1", "a x=1"], False),
    (["a x=1"], ["a x=1", "a x=1"], False),
    (["a ? x"], ["a ? x", "a ? x"], True),
    (["a ? x"], [], False),
    (["a ? x", "a x=1", "a ? x"], ["a ? x", "a x=1"], False),
    ([["a x=1", "b x=1"]], ["b x=1", "a x=1"], True),
    ([["a ? x", "b ? x"]], ["a ? x", "b ? x", "a ? x"], True),
    ([["a x=1", "b x=1"], "c x=1"], ["a x=1", "c x=1", "b x=1"], False),
    ([[["a x=1", "a ? x"], "b x=1"]], ["a x=1", "b x=1", "a ? x"], True),
    ([[["a x=1", "a ? x"], "b x=1"]], ["a ? x", "b x=1", "a x=1"], False),
]


@pytest.mark.parametrize(("expected", "seen", "right"), ORDERS)
def test_moves_in_order_and_side_by_side(expected: list[Expected], seen: list[str], right: bool) -> None:
    assert (differences(expected, seen) == []) is right


def test_the_example_of_the_page_is_good(store: Store, clock: VirtualClock) -> None:
    page = (law.ROOT / "docs" / "testing.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    site, (case,) = read_cases(text.encode(), "testing.md", law.read_site())
    assert Performance(case, site, store, clock).play() == []


@pytest.mark.parametrize("model", ["Case", "Trouble", "Before", "Event", "Site", "CaseFile"])
def test_every_word_stands_on_the_page(model: str) -> None:
    from hisauto.testing import cases

    page = (law.ROOT / "docs" / "testing.md").read_text()
    assert [word for word in getattr(cases, model).model_fields if f"`{word}" not in page] == []
