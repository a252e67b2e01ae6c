"""YAML as text with places, and what is refused, each at its place."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hisauto.errors import Invalid
from hisauto.model.problems import Problem, did_you_mean, invalid, nearest, render
from hisauto.model.yamltext import MAX_BYTES, MAX_DEPTH, load

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%b]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 10)) for n in range(ord("a"), ord("h"))
)

REFUSED = {
    "empty": (b"", "HA003", 0, 0, "empty"),
    "comments only": (b"# nothing\n", "HA003", 0, 0, "empty"),
    "too large": (b"a: " + b"x" * MAX_BYTES, "HA001", 0, 0, str(MAX_BYTES)),
    "two documents": (b"a: 1\n---\nb: 2\n", "HA010", 2, 1, "second document"),
    "tab indents": (b"a:\n\tb: 1\n", "HA005", 2, 1, "tab"),
    "tab before an item": (b"- a\n\t- b\n", "HA005", 2, 1, "tab"),
    "tab after a dash": (b"a:\n  - x\n  -\ty: 1\n", "HA005", 3, 4, "tab"),
    "bad indent": (b"a: 1\n  b: 2\n", "HA004", 2, 4, "mapping values"),
    "duplicate key": (b"a: 1\nb:\n  c: 1\n  c: 2\n", "HA006", 4, 3, "'c' is there twice"),
    "tag": (b"a: !!python/object x\n", "HA007", 1, 4, "!!python/object"),
    "own tag": (b"a:\n- !env HOME\n", "HA007", 2, 3, "!env"),
    "unknown alias": (b"a: &a 1\nb: *b\n", "HA008", 2, 4, "&b"),
    "endless alias": (b"a: &a [*a]\n", "HA008", 1, 8, "never end"),
    "alias bomb": (BOMB, "HA009", 5, 0, "more than"),
    "too deep": (b"[" * 50_000, "HA009", 1, MAX_DEPTH + 2, "levels"),
    "not UTF-8": ("标题: ".encode() + b"\xff\n", "HA002", 1, 5, "byte 9 is 0xff"),
    "UTF-16": ("a: 1".encode("utf-16"), "HA002", 1, 1, "byte 1"),
    "control character": (b"a: 1\nb: \x1b[31m\n", "HA002", 2, 4, "U+001B"),
    "unquoted template": (b"a: {{ x }}\n", "HA011", 1, 5, "key must be plain text"),
    "merge key": (b"a: &a {x: y}\nb:\n  <<: *a\n", "HA011", 3, 3, "merge keys"),
    "bad start": ("标题: @x\n".encode(), "HA004", 1, 5, "cannot start"),
    "no end": (b"a: [1\nb: 2\n", "HA004", 2, 2, "','"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_its_place(name: str) -> None:
    text, code, line, column, said = REFUSED[name]
    with pytest.raises(Invalid) as raised:
        load(text, "file.yml")
    found = [p for p in raised.value.problems if p.code == code]
    assert found, raised.value.problems
    assert (found[0].file, found[0].line) == ("file.yml", line)
    assert column in (0, found[0].column), found[0]
    assert said in found[0].message
    assert render(found[0]).startswith("file.yml")


def test_every_scalar_stays_text() -> None:
    text = b"a: no\nb: 0777\nc: 1.10\nd: 2024-01-01\ne:\nf: ~\ng: [on, '', \"x\\ty\"]\nh: |\n  one\n  \ttwo\n"
    assert load(text, "f").value == {
        "a": "no", "b": "0777", "c": "1.10", "d": "2024-01-01", "e": "", "f": "~", "g": ["on", "", "x\ty"],
        "h": "one\n\ttwo\n",
    }  # fmt: skip


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(Invalid) as raised:
        load(b"a: !x 1\na: 2\nb:\n  c: 1\n  c: !y 3\n", "f.yml")
    assert [(p.code, p.line) for p in raised.value.problems] == [
        ("HA007", 1), ("HA006", 2), ("HA006", 5), ("HA007", 5),
    ]  # fmt: skip
    assert "and 3 more" in str(raised.value)


def test_places_of_keys_values_and_what_is_not_there() -> None:
    document = load("标题: 数据库\nsteps:\n  - name: a\n    run: b\n".encode(), "f.yml")
    assert document.at(("标题",)) == (1, 5)
    assert document.key_at(("标题",)) == (1, 1)
    assert document.at(("steps", 0, "run")) == (4, 10)
    assert document.key_at(("steps", 0, "run")) == (4, 5)
    assert document.at(("steps", 0, "missing", "deeper")) == (3, 5)
    assert document.key_at(("steps", 7)) == (3, 3)


def test_an_alias_is_a_value_of_its_own_at_the_alias() -> None:
    document = load(b"a: &x\n  b: [1]\nc: *x\n", "f.yml")
    assert document.value == {"a": {"b": ["1"]}, "c": {"b": ["1"]}}
    assert document.at(("c", "b", 0)) == (3, 4)
    assert isinstance(document.value, dict)
    assert document.value["a"] is not document.value["c"]


def test_a_byte_order_mark_is_no_character() -> None:
    assert load(b"\xef\xbb\xbfa: 1\n", "f").at(("a",)) == (1, 4)


@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="a:-[]{}&*!?|>'\"#%@`,\n\t \\\x85é<", max_size=80).map(str.encode)
    )
)
def test_any_bytes_give_a_document_or_invalid(text: bytes) -> None:
    try:
        document = load(text, "f")
    except Invalid as error:
        assert error.problems
        for problem in error.problems:
            render(problem)
        return
    plain = yaml.load(text.decode("utf-8-sig"), Loader=yaml.CBaseLoader)
    assert document.value == plain


def test_render_shows_the_line_with_a_caret_under_wide_characters() -> None:
    problem = load("标题: x\n".encode(), "f.yml").problem(("标题",), "HA999", "no", "try y")
    assert render(problem).splitlines() == [
        "f.yml:1:5: error: no [HA999]",
        "    1 | 标题: x",
        "      |       ^",
        "      = hint: try y",
    ]
    assert "\x1b[31;1merror" in render(problem, color=True)


def test_render_bounds_long_lines_and_passes_no_control_sequences() -> None:
    long = "x" * 5000 + "\x1b[2J" + "y" * 5000
    shown = render(Problem("f", 1, 5001, "HA999", "no", source_line=long))
    assert len(shown.splitlines()[1]) < 200
    assert "\x1b" not in shown
    line, caret = shown.splitlines()[1:3]
    assert line[caret.index("^") + 1] == "["


def test_nearest() -> None:
    assert nearest("his-db", ["his_db", "app"]) == "his_db"
    assert nearest("HIS_DB", ["his_db"]) == "his_db"
    assert nearest("zzz", ["his_db"]) is None
    assert did_you_mean("zzz", ["a", "b"]) == "known: a, b"
    assert did_you_mean("zzz", []) == ""


def test_invalid_speaks_of_the_first_error_not_of_a_warning() -> None:
    error = invalid([Problem("f", 1, 1, "W", "meh", severity="warning"), Problem("f", 2, 1, "E", "bad")])
    assert str(error) == "f:2:1: bad (and 1 more)"
