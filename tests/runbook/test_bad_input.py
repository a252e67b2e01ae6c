"""Every mistake is named at its place, with what was expected and the nearest name; all of a file together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from hisauto.errors import Invalid, NotFound
from hisauto.model.action import Action
from hisauto.model.problems import render
from hisauto.runbook import documents as docs
from hisauto.runbook.loader import read_runbook
from hisauto.runbook.rules.rule import HEAD, STEPS
from hisauto.runbook.sandbox import TEXT_METHODS, Sandbox
from tests.runbook.bad import BAD, LOOK, Bad
from tests.runbook.reading import ACTIONS, GROUPS, HOSTS, check_text

ROOT = Path(__file__).parents[2]


def split(marked: str) -> tuple[str, tuple[int, int]]:
    """The text without the mark, and the mark's line and column; without one: the file as a whole."""
    before, found, after = marked.partition("▸")
    if not found:
        return marked, (0, 0)
    return before + after, (before.count("\n") + 1, len(before) - before.rfind("\n"))


def pin(action: Action, fields: BaseModel) -> None:
    """A site where one role is missing."""
    if getattr(fields, "role", "") == "gone":
        raise NotFound("there is no role 'gone'", hint="did you mean 'web'?")


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_a_mistake_is_named_at_its_place(bad: Bad) -> None:
    text, place = split(bad.text)
    runbook, problems = check_text(text.encode(), "x.yml", groups=GROUPS, hosts=HOSTS, pin=pin,
                                  secrets={"db"}, windows={"night"})  # fmt: skip
    shown = "\n".join(map(render, problems))
    assert [(p.line, p.column) for p in problems] == [place], shown
    (problem,) = problems
    assert (problem.code, problem.severity) == (bad.code, bad.severity), shown
    assert bad.message in problem.message, shown
    assert bad.hint in problem.hint, shown
    assert (runbook is None) == (bad.code < "HA110"), "form problems leave no runbook, others do"


def test_the_heads_of_the_table_are_good() -> None:
    for text in (HEAD + STEPS, LOOK):
        assert check_text(text.encode(), "x.yml", groups=GROUPS, hosts=HOSTS)[1] == []


def test_not_utf8_says_which_byte() -> None:
    text = (HEAD + STEPS).encode().replace(b"An example", b"\xd6\xd0\xce\xc4")
    with pytest.raises(Invalid) as caught:
        read_runbook(text, "x.yml", ACTIONS)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("HA002", 3, 8)
    assert "byte 40 is 0xd6" in problem.message


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(Invalid) as caught:
        read_runbook("\n".join(lines).encode(), "x.yml", ACTIONS)
    assert [p.code for p in caught.value.problems] == ["HA009"]


def test_too_large_a_file_is_not_read() -> None:
    with pytest.raises(Invalid) as caught:
        read_runbook(b"#" * (1024 * 1024 + 1), "x.yml", ACTIONS)
    assert [p.code for p in caught.value.problems] == ["HA001"]


def test_all_mistakes_of_a_file_come_together() -> None:
    text, _ = split(
        HEAD.replace("1.0.0", "one") + "gards: []\nsteps:\n  - comand: a\n  - name: b\n    command: c\n    shell: d\n"
    )
    with pytest.raises(Invalid) as caught:
        read_runbook(text.encode(), "x.yml", ACTIONS)
    assert [(p.line, p.code) for p in caught.value.problems] == [
        (2, "HA103"), (6, "HA101"), (8, "HA101"), (8, "HA102"), (11, "HA104"),
    ]  # fmt: skip


def test_a_message_reads_like_a_compilers() -> None:
    text = HEAD + "steps:\n  - name: Restart\n    comand: systemctl restart his\n"
    _, problems = check_text(text.encode(), "runbooks/x.yml")
    assert render(problems[0]).splitlines() == [
        "runbooks/x.yml:8:5: error: unknown word 'comand' [HA101]",
        "    8 |     comand: systemctl restart his",
        "      |     ^",
        "      = hint: did you mean 'command'?",
    ]


def test_every_word_stands_in_the_docs() -> None:
    text = (ROOT / "docs/runbook-language.md").read_text()
    said = set(re.findall(r"`(\w+)", text)) | set(re.findall(r"(\w+)(?:`|:)", text))
    documents = [
        d
        for d in vars(docs).values()
        if isinstance(d, type) and issubclass(d, docs.Doc) and d not in (docs.Call, docs.Part)
    ]
    words = {info.alias or name for d in documents for name, info in d.model_fields.items()} - {"action", "part"}
    assert words - said == set()
    assert set(Sandbox().filters) | TEXT_METHODS <= said


def test_the_examples_of_the_docs_are_good() -> None:
    text = (ROOT / "docs/runbook-language.md").read_text()
    first, failover, block, flow = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    patch = HEAD + "hosts:\n  apps: app\n  proxy: {pattern: 'db_proxy[0]', exactly: 1}\nsteps:\n" + block
    for example in (first, failover, patch, HEAD + "steps:\n" + flow):
        assert check_text(example.encode(), "x.yml", groups=GROUPS, hosts=HOSTS)[1] == []
