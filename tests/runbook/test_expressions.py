"""Three truths, a sandbox without clock, chance or bombs, and data that is never evaluated twice."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hisauto.errors import Invalid
from hisauto.runbook.expressions import Truth, evaluate, names, references, render, render_value
from hisauto.runbook.scope import Hosts, Results

SCOPE: dict[str, Any] = {
    "t": True,
    "f": False,
    "null": None,
    "row": {"writer": True, "lag": 3, "name": "db 2", "none": None, "items": 5, "keys": [1, 2]},
    "rows": [{"n": 1, "ok": True}, {"n": 2, "ok": False}],
    "stdout": "up 3\ndays",
    "evil": "{{ row.lag }}",
    "host": None,
    "params": {"within": 600.0, "share": 0.5, "empty": ""},
    "hosts": {"standby": Hosts(["db2"]), "apps": Hosts(["app1", "app2"]), "none": Hosts()},
    "one": Results({"db1": {"rc": 0}}),
    "two": Results({"db1": {"rc": 0}, "db2": {"rc": 1}}),
    "mine": Results({"db1": {"rc": 0}, "db2": {"rc": 1}}, own={"rc": 1}),
    "looped": Results(items=({"rc": 0}, {"rc": 7})),
}

TRUTHS = [
    # the data decides
    ("row.writer", "true", ""),
    ("not row.writer", "false", "row.writer is true"),
    ("row.lag < 5 and row.name == 'db 2'", "true", ""),
    ("row.lag > 5", "false", "row.lag is 3"),
    ("row.items == 5 and row['keys'] == [1, 2]", "true", ""),
    ("rows | selectattr('ok') | map(attribute='n') | list == [1]", "true", ""),
    ("rows[1].n == 2", "true", ""),
    ("stdout.splitlines() | length == 2", "true", ""),
    ("stdout.split()[1] | int == 3", "true", ""),
    ("'up' in stdout and stdout.startswith('up')", "true", ""),
    ("row.none is none", "true", ""),
    ("row.gone is defined", "false", ""),
    ("row.gone | default(false)", "false", ""),
    # what is no truth cannot be told
    ("row.none", "unknown", "null is neither true nor false"),
    ("row.lag", "unknown", "3 is neither true nor false"),
    ("stdout", "unknown", "'up 3\\ndays' is neither"),
    ("1", "unknown", "1 is neither"),
    ("row", "unknown", "neither true nor false"),
    ("row.gone", "unknown", "row.gone is undefined"),
    ("row.gone.deeper == 1", "unknown", "row.gone is undefined"),
    ("row.none.deeper == 1", "unknown", "row.none is null"),
    ("nobody == 1", "unknown", "nobody is undefined"),
    ("row.gone == 1", "unknown", "row.gone is undefined"),
    ("row.gone is none", "unknown", "row.gone is undefined"),
    ("not row.gone is none", "unknown", "row.gone is undefined"),
    ("row.lag < 'a'", "unknown", "row.lag is 3"),
    ("row.none < 5", "unknown", "row.none is null"),
    ("1 / 0 == 1", "unknown", "division by zero"),
    ("stdout | int == 0", "unknown", "is not a number"),
    ("rows[7].ok", "unknown", "rows[7] is undefined"),
    ("('{\"s\": 0.5}' | from_json).s == 0.5", "true", ""),
    ("('{\"s\": NaN}' | from_json).s == 0.5", "unknown", "beyond what JSON can carry"),
    ("stdout | from_json == 1", "unknown", "Expecting value"),
    ("('[' * 100000) | from_json == 1", "unknown", ""),
    ("t if row.none else f", "unknown", "null is neither"),
    ("t if f", "unknown", "no else"),
    # hosts
    ("hosts.standby == 'db2'", "true", ""),
    ("'db2' == hosts.standby", "true", ""),
    ("hosts.apps == 'app1'", "false", "hosts.apps is"),
    ("'app2' in hosts.apps and hosts.apps | length == 2", "true", ""),
    ("hosts.apps[0] == 'app1' and hosts.none | length == 0", "true", ""),
    # results
    ("one.rc == 0 and mine.rc == 1", "true", ""),
    ("two.rc == 0", "unknown", "two has 2 results; say which"),
    ("two.hosts['db2'].rc == 1 and two.hosts.db1.rc == 0", "true", ""),
    ("two.hosts.db9.rc == 0", "unknown", "two.hosts.db9 is undefined"),
    ("looped.items[1].rc == 7", "true", ""),
    ("one.gone == 1", "unknown", "one has no 'gone'"),
    # a sandbox
    ("row.__class__ == 1", "unknown", "unsafe"),
    ("''.__class__.__mro__ == 1", "unknown", "unsafe"),
    ("row['__class__'] == 1", "unknown", "undefined"),
    ("hosts.apps.count('x') == 0", "unknown", "hosts.apps.count is undefined"),
    ("stdout.format(1) == 1", "unknown", "no attribute 'format'"),
    ("stdout.zfill(10) == 1", "unknown", "zfill"),
    ("range(3) | list == []", "unknown", "range is undefined"),
    ("lipsum() == ''", "unknown", "lipsum is undefined"),
    ("row.items() == 1", "unknown", ""),
    # bombs
    ("'a' * 10 ** 9 == 'a'", "unknown", "too much data"),
    ("['a'] * 10 ** 9 == []", "unknown", "too much data"),
    ("9 ** 9999 == 1", "unknown", "too large"),
    ("('a' * 1000000) | replace('a', 'b' * 1000000) == ''", "unknown", "too much data"),
    ("(['a'] * 1000000) | join('b' * 100) == ''", "unknown", "too much data"),
    ("([['a' * 1000] * 1000] * 10) | string == ''", "unknown", "too much data"),
    ("1.5 | round(1000000000) == 1", "unknown", "0 to 12 digits"),
    ("'%1000000000d' % 1 == ''", "unknown", "% is for numbers"),
    ("10.0 ** 1000 == 1", "unknown", ""),
]


@pytest.mark.parametrize(("expression", "truth", "why"), TRUTHS)
def test_truth(expression: str, truth: str, why: str) -> None:
    begun = time.thread_time()
    answer = evaluate(expression, SCOPE)
    assert time.thread_time() - begun < 5, "bounded work"
    assert answer.truth == Truth(truth), answer
    assert why in answer.why


KLEENE = {"true": Truth.true, "false": Truth.false, "null": Truth.unknown, "gone": Truth.unknown}


@pytest.mark.parametrize("a", KLEENE)
@pytest.mark.parametrize("b", KLEENE)
def test_and_or_not_over_three_truths(a: str, b: str) -> None:
    both = {KLEENE[a], KLEENE[b]}
    both_true = Truth.false if Truth.false in both else Truth.unknown if Truth.unknown in both else Truth.true
    one_true = Truth.true if Truth.true in both else Truth.unknown if Truth.unknown in both else Truth.false
    scope = {"null": None}
    assert evaluate(f"{a} and {b}", scope).truth == both_true
    assert evaluate(f"{a} or {b}", scope).truth == one_true
    assert evaluate(f"not ({a} and {b})", scope).truth == evaluate(f"(not {a}) or (not {b})", scope).truth
    opposite = {Truth.true: Truth.false, Truth.false: Truth.true, Truth.unknown: Truth.unknown}
    assert evaluate(f"not {a}", scope).truth == opposite[KLEENE[a]]


RENDERED: list[tuple[str, Any]] = [
    ("plain", "plain"),
    ("to {{ hosts.standby }} now", "to db2 now"),
    ("{{ hosts.apps }}", "app1,app2"),
    ("{{ hosts.apps | list }}", ["app1", "app2"]),
    ("{{ row.lag }}", 3),
    ("lag {{ row.lag }}", "lag 3"),
    ("{{ row.writer }}", True),
    ("is {{ row.writer }}", "is true"),
    ("{{ params.within }}s", "600s"),
    ("{{ params.share }} of it", "0.5 of it"),
    ("{{ row.none }}", None),
    ("{{ row.none | default('-', true) }}", "-"),
    ("{{ row.name | quote }}", "'db 2'"),
    ("{{ rows | map(attribute='n') }}", [1, 2]),
    ("n={{ rows | map(attribute='n') | join(' ') }}", "n=1 2"),
    ("{{ rows[0] | tojson }}", '{"n": 1, "ok": true}'),
    ("{{ (rows[0] | tojson | from_json).n }}", 1),
    ("{{ one }}", {"rc": 0, "hosts": {"db1": {"rc": 0}}, "items": []}),
    ("{{ evil }}", "{{ row.lag }}"),
    ("<{{ evil }}>", "<{{ row.lag }}>"),
    ("${#list[@]} {% if %} {# no comment #} ${Version}", "${#list[@]} {% if %} {# no comment #} ${Version}"),
    ("{{ '{{' }} .Names }}", "{{ .Names }}"),
    ("a\n{{ row.lag }}\n", "a\n3\n"),
]


@pytest.mark.parametrize(("template", "value"), RENDERED)
def test_render(template: str, value: Any) -> None:
    assert render_value(template, SCOPE) == value
    if isinstance(value, str):
        assert render(template, SCOPE) == value


def test_render_value_goes_through_everything_once() -> None:
    given = {"a": ["{{ evil }}", 1, None, {"b": ("{{ row.lag }}", True)}], "{{ key }}": "x"}
    assert render_value(given, SCOPE) == {"a": ["{{ row.lag }}", 1, None, {"b": [3, True]}], "{{ key }}": "x"}


NOT_RENDERED = [
    ("{{ nobody }}", "nobody is undefined"),
    ("{{ row.gone }}", "row.gone is undefined"),
    ("to {{ host }}", "null"),
    ("{{ row.none }}!", "it is null"),
    ("{{ rows }}!", "a list or mapping can't stand in text"),
    ("{{ two.rc }}", "two has 2 results"),
    ("{{ row.none or 'x' }}", "null is neither true nor false"),
    ("{{ stdout.split }}", "a function is not a value"),
    ("{{ 2 ** 53 }}", "beyond what JSON can carry"),
    ("{{ 1e308 * 10 }}", "beyond what JSON can carry"),
    ("{{ 'nan' | float }}", "beyond what JSON can carry"),
]


@pytest.mark.parametrize(("template", "message"), NOT_RENDERED)
def test_what_has_no_text_is_an_error_that_names_it(template: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        render(template, SCOPE)
    assert message in str(caught.value)


UNREADABLE = [
    ("rc = 0", "not a valid expression"),
    ("a b", "it ends before 'b'"),
    ("", "unexpected end"),
    ("(" * 3000, "nested too deep"),
    ("x" * 9000, "longer than"),
    ("9" * 5000, "too large"),
    ("stdout | random == 1", "No filter named 'random'"),
    ("stdout is callable", "No test named 'callable'"),
]


@pytest.mark.parametrize(("expression", "message"), UNREADABLE)
def test_what_cannot_be_compiled_is_invalid(expression: str, message: str) -> None:
    for use in (names, references, lambda text: evaluate(text, SCOPE)):
        with pytest.raises(Invalid) as caught:
            use(expression)
        assert message in str(caught.value)


def test_names_and_references() -> None:
    assert names("row.writer and before.row['lag'] > params.x | default(limit)") == {"row", "before", "params", "limit"}
    assert references("a.b['c'][0] == d.startswith(e.f)") == {("a", "b", "c", 0), ("d", "startswith"), ("e", "f")}
    assert references("x {{ a.b }} {{ c }}", template=True) == {("a", "b"), ("c",)}
    assert references("${#a}", template=True) == frozenset()


def test_budgets_of_threads_are_apart() -> None:
    big = "('a' * 1000000) | length == 1000000"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: evaluate(big, {}), range(32)))
    assert {a.truth for a in answers} == {Truth.true}


TOKENS = """row row.lag null t f 'a' 1 2.5 ( ) [ ] { } , : . and or not in is if else == != < + - * / // % ** ~ |
int join map default list replace sort self none defined hosts.apps two.rc __class__ '%s' 10**9 loop super caller"""
WORDS = st.sampled_from(TOKENS.split())


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_text_is_an_answer_or_invalid(text: str) -> None:
    with suppress(Invalid):
        assert evaluate(text, SCOPE).truth in Truth
    with suppress(Invalid):
        json.dumps(render_value(f"x{{{{ {text} }}}}", SCOPE))


def test_hosts_are_json_and_compare_like_names() -> None:
    one, two = Hosts(["db1"]), Hosts(["a", "b"])
    assert json.dumps({"hosts": two}) == '{"hosts": ["a", "b"]}'
    assert (str(two), f"{one}") == ("a,b", "db1")
    assert one == "db1" and one != "db2" and two != "a,b" and one == Hosts(["db1"])
    assert hash(one) == hash("db1")
    assert "a" in two and list(two) == ["a", "b"] and two[1] == "b" and len(two) == 2
