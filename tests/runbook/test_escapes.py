# ruff: noqa: E501  (a table: what belongs together stands on one line)
"""The known ways out of Jinja2's sandboxes, each tried in expressions and in templates: none of them leads anywhere."""

from __future__ import annotations

import os
from typing import Any

import pytest

from hisauto.errors import HisautoError
from hisauto.runbook.expressions import Truth, evaluate, render_value
from hisauto.runbook.scope import Hosts, Results

SCOPE: dict[str, Any] = {
    "text": "x", "number": 1, "row": {"a": 1}, "rows": [1, 2], "hosts": {"db": Hosts(["db1"])},
    "seen": Results({"db1": {"rc": 0}}), "params": {}, "none": None,
}  # fmt: skip
NAMES = ("text", "number", "row", "rows", "hosts.db", "seen", "params", "none", "undefined_name", "''", "()", "[]", "{}",
         "1.5", "true")  # fmt: skip
STEPS = (
    "__class__", "__class__.__mro__[1].__subclasses__()", "__class__.__base__.__subclasses__()",
    "__init__.__globals__", "__init__.__globals__['os'].system('id')", "__getattribute__('__class__')", "__reduce_ex__(2)",
    "__dict__", "__doc__", "__module__", "format.__globals__", "_fail_with_undefined_error", "_undefined_message",
    "gi_frame.f_globals", "mro()", "func_globals", "im_class", "environment", "lookup.__func__.__globals__",
)  # fmt: skip
WAYS_OUT = [
    "self", "self.__init__", "self._TemplateReference__context", "cycler.__init__.__globals__.os", "joiner", "namespace",
    "lipsum.__globals__['os'].popen('id').read()", "request.application", "config", "url_for", "get_flashed_messages",
    "dict(a=1)", "range(9)", "caller()", "super()", "loop", "varargs", "kwargs", "environment", "context", "resolve('os')",
    "''|attr('__class__')", "''|attr('\\x5f\\x5fclass\\x5f\\x5f')", "row|attr('items')", "''['__class__']",
    "''['\\x5f\\x5fclass\\x5f\\x5f']", "row['__class__']", "[''|attr('__class__')]|first", "rows|map('attr', '__class__')|list",
    "rows|map(attribute='__class__')|list == [1]", "rows|map(attribute='real.__class__')|list", "rows|groupby('__class__')",
    "rows|sort(attribute='__class__')", "rows|selectattr('__class__')|list", "rows|sum(attribute='__class__')",
    "rows|unique(attribute='__class__')|list", "rows|max(attribute='__class__')", "[row]|map(attribute='__class__')|list",
    "'{0.__class__}'.format(text)", "'{a.__class__}'.format_map(row)", "'%s' % text", "'{0.__init__}'|format(text)",
    "('{0.__class__}'|safe).format(1)", "text.join(['a'])", "text.encode('utf-16')", "text.translate({})", "row.update({})",
    "rows.append(1)", "rows.pop()", "row.pop('a')", "row.setdefault('b', 1)", "rows.sort()", "text.format", "text.upper.__self__",
    "text.upper.__call__", "text.upper()|attr('__class__')", "(text.upper)()", "text.split.__class__('x')", "seen.lookup('db1')",
    "seen.items.__class__", "hosts.db.__iter__", "hosts.db.index('db1')", "hosts.db.copy()", "none.__class__", "number.__class__",
    "number.real.__class__", "number.to_bytes(99999999, 'big')", "number.bit_length()", "true.__class__", "1.5.hex()",
    "''.__class__.__base__.__subclasses__()[0]('/etc/passwd')", "text|pprint", "text|xmlattr", "rows|random", "text|urlize",
    "text|include('x')", "text|lookup('file', '/etc/passwd')", "lookup('pipe', 'id')", "query('env', 'HOME')", "now()",
    "undefined_name.__class__", "undefined_name()|attr('x')", "row.missing.__init__.__globals__", "none()", "text()", "row()",
]  # fmt: skip
ALL = [*WAYS_OUT, *(f"({name}).{step}" for name in NAMES for step in STEPS)]


@pytest.mark.parametrize("way", ALL)
def test_a_way_out_leads_nowhere(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be told, or it is a mistake; what it would have given is data of the scope at most."""
    monkeypatch.setattr(os, "system", ran)
    monkeypatch.setattr(os, "popen", ran)
    before = repr(SCOPE)
    try:
        answer = evaluate(way, SCOPE)
    except HisautoError:
        pass
    else:
        assert answer.truth is not Truth.true, answer
    try:
        value = render_value("{{ " + way + " }}", SCOPE)
    except HisautoError:
        value = None
    assert harmless(value), value
    assert repr(SCOPE) == before


def harmless(value: Any) -> bool:
    """JSON and nothing else, and no word of what stands behind an object."""
    if isinstance(value, list | tuple):
        return all(map(harmless, value))
    if isinstance(value, dict):
        return all(harmless(part) for pair in value.items() for part in pair)
    if isinstance(value, str):
        return not any(word in value for word in ("<class", "<built-in", "<function", "<bound", " at 0x", "__globals__"))
    return value is None or isinstance(value, bool | int | float)


def ran(*_: object) -> None:
    raise AssertionError("it got out")


def test_the_same_look_finds_a_way_out_where_there_is_one() -> None:
    from jinja2 import Environment

    shown = Environment().from_string("{{ ''.__class__.__mro__ }} {{ cycler.__init__ }}").render()
    assert not harmless(shown)
