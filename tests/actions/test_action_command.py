"""``command`` and ``shell``: what is run, word by word, and what is made of the answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hisauto.actions.command import split
from hisauto.model.action import Place
from hisauto.model.transport import Completed

from .peers import ACTIONS, do, execute

HERE = Place("db1", {}, {})

WORDS = [
    ("systemctl restart postgresql", ["systemctl", "restart", "postgresql"]),
    ("echo 'a b' \"c d\" e\\ f", ["echo", "a b", "c d", "e f"]),
    ("haproxy-set his/{{ host }} drain", ["haproxy-set", "his/{{ host }}", "drain"]),
    ("x {{ params.a ~ \" b\" }}{{ c }}=1 {{ 'it}}s' }}", ["x", '{{ params.a ~ " b" }}{{ c }}=1', "{{ 'it}}s' }}"]),
    ("x '{{ a b }}' # no comment", ["x", "{{ a b }}", "#", "no", "comment"]),
    ("dpkg-query -Wf ${Version} his", ["dpkg-query", "-Wf", "${Version}", "his"]),
    ("x {% if a %}b{% endif %}", ["x", "{% if a %}b{% endif %}"]),
]

SCRIPTS = [
    ("command", "cat /etc/hostname", "exec cat /etc/hostname\n"),
    ("command", ["rm", "-rf", "a b", "$(x)", "it's"], "exec rm -rf 'a b' '$(x)' 'it'\"'\"'s'\n"),
    ("command", ["echo", 5, 1.5, True, ["db1", "db2"], ""], "exec echo 5 1.5 true db1,db2 ''\n"),
    ("shell", "a && b\n", "a && b\n"),
    ("shell", 'echo "$HOME" | cat', 'echo "$HOME" | cat\n'),
]

BAD = [
    ("command", "", "at least 1 item"),
    ("command", "echo 'open", "no closing quotation"),
    ("command", [None], "valid string"),
    ("command", {"argv": ["x"], "shell": "y"}, "Extra inputs"),
    ("shell", "", "at least 1 "),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_split(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(("kind", "given_", "text"), SCRIPTS)
def test_script(kind: str, given_: object, text: str) -> None:
    action = ACTIONS[kind]
    fields = action.fields.model_validate({action.scalar: given_})
    for purpose in ("look", "change"):
        call = action.call(fields, HERE, purpose)
        assert (call.script.text, call.on, dict(call.script.env)) == (text, "host", {})


@pytest.mark.parametrize(("kind", "given_", "message"), BAD)
def test_bad_fields(kind: str, given_: object, message: str) -> None:
    action = ACTIONS[kind]
    with pytest.raises(ValidationError, match=message):
        action.fields.model_validate(given_ if isinstance(given_, dict) else {action.scalar: given_})


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_words_reach_the_program_as_they_are(words: list[str]) -> None:
    action = ACTIONS["command"]
    fields = action.fields.model_validate({"argv": ["/usr/bin/printf", "%s\\0", *words]})
    assert execute(action.call(fields, HERE, "look")).out == "".join(f"{word}\0" for word in words).encode()


ENDS = [
    ("echo out; echo err >&2", "look", {"rc": 0, "stdout": "out", "stderr": "err", "stdout_lines": ["out"]}),
    ("printf 'a\\n\\nb\\n\\n'", "look", {"rc": 0, "stdout": "a\n\nb", "stderr": "", "stdout_lines": ["a", "", "b"]}),
    ("printf '\\377'; exit 3", "look", {"rc": 3, "stdout": "\ufffd", "stderr": "", "stdout_lines": ["\ufffd"]}),
    ("exit 127", "change", {"rc": 127, "stdout": "", "stderr": "", "stdout_lines": []}),
    ("exit 126", "look", None),
    ("exit 127", "look", None),
]


@pytest.mark.parametrize(("script", "purpose", "values"), ENDS)
def test_read(script: str, purpose: str, values: dict[str, object] | None) -> None:
    seen = do("shell", script, HERE, purpose)  # type: ignore[arg-type]
    assert seen.known is (values is not None)
    assert dict(seen.values) == (values or {})


def test_a_program_that_is_not_there() -> None:
    seen = do("command", "/no/such/program", HERE)
    assert not seen.known
    assert "could not be started (exit 127)" in seen.why
    assert "/no/such/program" in seen.why
    assert do("command", "/no/such/program", HERE, "change").values["rc"] == 127


@pytest.mark.parametrize("purpose", ["look", "change"])
@pytest.mark.parametrize("kind", sorted(ACTIONS))
@pytest.mark.parametrize("how", ["timeout", "killed"])
def test_without_an_end_nothing_is_known(kind: str, how: str, purpose: str) -> None:
    action = ACTIONS[kind]
    fields = action.fields.model_construct(query="select 1", verb="on")
    seen = action.read(fields, Completed(0, how, b"on\n"), purpose)  # type: ignore[arg-type]
    assert (seen.known, dict(seen.values)) == (False, {})
    assert seen.why


def test_a_part_of_the_output_tells_nothing() -> None:
    action = ACTIONS["command"]
    seen = action.read(action.fields.model_validate({"argv": "x"}), Completed(0, "exit", b"x", truncated=True))
    assert dict(seen.values) == {"rc": 0}
