"""The screen as a function of the record: a recorded run, turned this way and that."""

from __future__ import annotations

import dataclasses
import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hisauto.cli import language
from hisauto.cli.screen import MANY, screen
from hisauto.cli.snapshot import Snapshot
from hisauto.clock import stamp
from hisauto.model.run import Attempt, AttemptState, RunState
from tests.cli.picture import PICTURE, RECORDED, svg
from tests.cli.recording import load

GATE = load(RECORDED)


def text(snapshot: Snapshot, *, unicode: bool = True, width: int = 110) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(screen(snapshot, unicode=unicode))
    return out.getvalue()


def flat(shown: str) -> str:
    """Without frames and line breaks."""
    return " ".join(shown.replace("│", " ").replace("|", " ").split())


def turned(view: dict[str, Any] | None = None, **more: Any) -> Snapshot:
    return dataclasses.replace(GATE, view=dataclasses.replace(GATE.view, **(view or {})), **more)


def attempt(path: str, state: AttemptState, **more: Any) -> Attempt:
    fields: dict[str, Any] = {"name": "Promote the standby", "host": "db2", "epoch": 1, "started_at": GATE.now}
    return Attempt(path, 1, state, **{**fields, **more})


def test_the_gate_says_all_that_one_needs() -> None:
    shown = flat(text(GATE))
    run = GATE.view.id
    for words in (
        "WAITING", "INC-7 level 1", "RTO 4m", "left of 5m00s", "not measured yet", "Promote db2", "synchronous=true",
        "s ago", "said: dba-1 yes", "still needed: 1 of duty_manager", "no way back after: Promote the standby",
        "left, then it is denied", f"hisauto approve {run}", f"hisauto reject {run}", "--break-glass", GATE.view.digest,
        "all 4 guards", "pending",
    ):  # fmt: skip
        assert words in shown, words


def test_what_is_not_known_is_called_unknown() -> None:
    question = dict(GATE.view.question or {})
    fact = {"name": "lag", "value": None, "known": False, "source": "nothing registered it", "taken_at": None}
    shown = flat(text(turned({"question": {**question, "facts": [fact]}})))
    assert "lag UNKNOWN nothing registered it" in shown


ACTION = {"kind": "shell", "fields": {"script": "pg promote"}}
INTENTS: list[tuple[dict[str, Any], str]] = [
    ({"action": ACTION, "irreversible": "no way back"}, "IRREVERSIBLE: no way back"),
    ({"action": ACTION, "undo": {"action": {"kind": "command", "fields": {"argv": ["pg", "demote it"]}}}},
     "reversible by command: pg 'demote it'"),
    ({"action": ACTION}, "has no undo: what it does stays"),
    ({"look": True}, "only looks: changes nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("intent", "said"), INTENTS)
def test_at_work_it_says_whether_there_is_a_way_back(intent: dict[str, Any], said: str) -> None:
    working = attempt("4[db2]", AttemptState.started, intent=intent)
    now = GATE.now + timedelta(seconds=42)
    shown = flat(text(turned({"state": RunState.running, "question": None}, attempts=[working], now=now,
                             tail={"4[db2]#1": ["waiting for server", "promoted"]})))  # fmt: skip
    for words in ("NOW Promote the standby on db2 42s", "expects: row.primary", said, "waiting for server", "running"):
        assert words in shown, words
    if "action" in intent:
        assert "shell: pg promote" in shown


def test_what_hosts_say_can_not_control_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31mred\u202egnp\r\n\x08"
    working = attempt("4[db2]", AttemptState.started, name=f"x{evil}", intent={"action": ACTION})
    failed = attempt("5[lb1]", AttemptState.failed, result={"why": evil}, ended_at=GATE.now)
    shown = text(turned({"state": RunState.running, "question": None, "reason": evil}, attempts=[working, failed],
                        tail={"4[db2]#1": [evil]}))  # fmt: skip
    assert not set(shown) & set("\x1b\x07\x08\x9b\r\u202e") and "owned" not in shown


ENDS = [
    (RunState.succeeded, {"rto": {"promised": 300.0, "measured": 80.0}}, "RTO measured 1m20s, promised 5m00s kept"),
    (RunState.succeeded, {"rto": {"promised": 60.0, "measured": 80.0}}, "promised 1m00s NOT KEPT"),
    (RunState.succeeded, {"rpo": {"promised": 0.0, "measured": None}}, "RPO measured unknown, promised 0s"),
    (RunState.partial, {"tolerated": ["4[app2]"]}, "tolerated failures: 4[app2]"),
    (RunState.failed, {"why": "promote: exit 1"}, "promote: exit 1"),
    (
        RunState.rollback_failed,
        {"left": [{"host": "db1", "name": "Fence", "why": "unreachable", "undo": ACTION}]},
        "LEFT TO DO BY HAND on db1: shell: pg promote Fence: unreachable",
    ),
]


@pytest.mark.parametrize(("state", "summary", "said"), ENDS)
def test_the_end_says_what_came_of_it(state: RunState, summary: dict[str, Any], said: str) -> None:
    shown = flat(text(turned({"state": state, "question": None, "ended_at": GATE.now, "summary": summary})))
    assert said in shown and state.value.replace("_", " ").upper() in shown and "answer:" not in shown


QUESTIONS: list[tuple[RunState, dict[str, Any], list[str]]] = [
    (
        RunState.in_doubt,
        {"kind": "in_doubt", "id": "doubt:4[db2]#1", "step": "4[db2]#1", "name": "Promote", "host": "db2",
         "why": "silence", "answers": ["done", "again", "stop"]},
        ["IN DOUBT", "Promote on db2", "silence", f"hisauto decide {GATE.view.id} '4[db2]#1' done"],
    ),
    (
        RunState.waiting,
        {"kind": "ask", "id": "ask:4:0", "step": "4#1", "why": "exit 1", "barred": True, "answers": ["again", "stop"]},
        ["A STEP FAILED", "exit 1", "the point of no return is behind us", f"decide {GATE.view.id} '4#1' again"],
    ),
    (
        RunState.locking,
        {"kind": "lock", "id": "lock", "for": {"host:db1": "r-1"}},
        ["LOCKED", "waits for run r-1, which holds host:db1"],
    ),
    (RunState.running, {"kind": "broken", "id": "broken", "why": "out of memory"}, ["out of memory", "tried again"]),
]  # fmt: skip


@pytest.mark.parametrize(("state", "question", "said"), QUESTIONS)
def test_every_question_says_how_to_answer(state: RunState, question: dict[str, Any], said: list[str]) -> None:
    shown = flat(text(turned({"state": state, "question": question})))
    for words in said:
        assert words in shown, words


def test_late_and_out_of_time() -> None:
    late = turned(now=GATE.view.reported_at + timedelta(minutes=7))
    assert "RTO MISSED by 2m00s" in text(late)
    question = dict(GATE.view.question or {})
    over = turned({"question": {**question, "deadline": stamp(GATE.now - timedelta(seconds=1))}})
    assert "the time to decide is over" in text(over)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_monochrome_and_ascii_and_narrow(width: int) -> None:
    shown = text(GATE, unicode=False, width=width)
    assert shown.isascii()
    assert all(len(line) <= width for line in shown.splitlines())
    assert "+ holds" in shown and "? waiting" in shown and ". pending" in shown


def test_many_hosts_become_a_number_and_those_that_need_a_look() -> None:
    hosts = [f"lb{n}" for n in range(1, MANY + 12)]
    done = [attempt(f"5[{h}]", AttemptState.done, name="Point", host=h, ended_at=GATE.now) for h in hosts[:-1]]
    bad = attempt(f"5[{hosts[-1]}]", AttemptState.failed, name="Point", host=hosts[-1], result={"why": "no route"})
    memos = {**GATE.memos, "hosts:5": hosts}
    shown = text(turned({"state": RunState.running, "question": None}, attempts=[*done, bad], memos=memos))
    assert f"{len(hosts)} hosts" in shown and f"{len(done)} done, 1 failed" in shown
    assert "no route" in shown and "lb3 " not in shown


STATES = [
    ("done", AttemptState.done), ("failed", AttemptState.failed), ("in doubt", AttemptState.in_doubt),
    ("already", AttemptState.already), ("undone", AttemptState.undone), ("undo failed", AttemptState.undo_failed),
    ("skipped", AttemptState.skipped), ("running", AttemptState.started),
]  # fmt: skip


@pytest.mark.parametrize(("word", "state"), STATES)
def test_every_state_has_its_word(word: str, state: AttemptState) -> None:
    one = attempt("4[db2]", state, intent={"action": ACTION})
    shown = text(turned({"state": RunState.running, "question": None}, attempts=[one], memos={"hosts:4": ["db2"]}))
    (line,) = [x for x in shown.splitlines() if "Promote the standby" in x and "NOW" not in x]
    assert f" {word} " in line


def test_the_picture_is_what_the_code_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C")
    drawn = svg(GATE)
    assert "Promote&#160;db2" in drawn and "http" not in drawn.replace("http://www.w3.org/", "")
    # Its words; another version of the library may draw the same with other numbers.
    kept, fresh = (re.findall(r"<text[^>]*>([^<]*)</text>", one) for one in (PICTURE.read_text(), drawn))
    assert kept == fresh and len(kept) > 50, "draw it again: python -m tests.cli.picture draw"


def test_the_recording_holds_nothing_of_a_machine() -> None:
    kept = Path(RECORDED).read_text()
    assert not any(word in kept for word in ("/tmp", "/home", "/root", "PRIVATE KEY"))


def test_the_gate_in_chinese() -> None:
    language.use("zh")
    shown = flat(text(GATE))
    run = GATE.view.id
    for words in (
        "等待中", "INC-7 1 级", "申请人 ", "RTO 还剩 4m", "承诺 5m00s", "尚未测量", "Promote db2", "synchronous=true",
        "s 前", "已答复：dba-1 同意", "还需：1 名 duty_manager", "此后不可回退：Promote the standby", "逾期视为不同意",
        "全部 4 项前置检查", "待执行", "审批点", f"hisauto approve {run}",
    ):  # fmt: skip
        assert words in shown, words


@pytest.mark.parametrize("width", [60, 80, 200])
def test_wide_characters_keep_the_frame_straight(width: int) -> None:
    from rich.cells import cell_len

    language.use("zh")
    framed = [line for line in text(GATE, width=width).splitlines() if line.startswith(("│", "╭", "╰"))]
    assert framed and {cell_len(line) for line in framed} == {width}


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ({"rto": {"promised": 300.0, "measured": 80.0}}, "RTO 实测 1m20s, 承诺 5m00s 达标"),
        ({"rto": {"promised": 60.0, "measured": 80.0}}, "承诺 1m00s 未达标"),
        ({"rpo": {"promised": 0.0, "measured": None}}, "RPO 实测 未知, 承诺 0s"),
        ({"why": "Promote: never started: db2: no connection: Connection timed out"},
         "Promote：从未启动：db2：无法连接：连接超时"),
        ({"left": [{"host": None, "name": "Fence", "why": "unreachable: it ran out of time", "undo": ACTION}]},
         "须在 节点 上手工处理：shell: pg promote Fence: 无法到达：超时"),
    ],
)  # fmt: skip
def test_the_end_in_chinese(summary: dict[str, Any], said: str) -> None:
    language.use("zh")
    ended = {"state": RunState.failed, "summary": summary, "ended_at": GATE.now, "question": None}
    shown = flat(text(turned(ended)))
    assert said in shown and "失败" in shown and "锁已释放" in shown, shown


def test_a_rows_reason_in_chinese() -> None:
    language.use("zh")
    failed = attempt("4[db2]", AttemptState.failed, result={"why": "never started: it ran out of time"})
    assert "从未启动：超时" in flat(text(turned({"state": RunState.running, "question": None}, attempts=[failed])))
