"""``script``: real interpreters, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from hisauto.actions.script import interpreter
from hisauto.errors import HisautoError, Invalid
from hisauto.model.action import Place

from .peers import ACTIONS, command_lines, do, until

SCRIPT = ACTIONS["script"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "files" / "beside" / "scripts").mkdir(parents=True)
    return Place("h1", {}, {}, files=tmp_path / "files")


def script(place: Place, text: str | bytes, name: str = "scripts/it's.sh") -> str:
    data = text if isinstance(text, bytes) else text.encode()
    (place.files / "beside" / name).write_bytes(data)
    return name


SHOW = """#!/bin/sh -u
umask; stat -c %a "$0" "${0%/*}"; for word; do printf '<%s>\\n' "$word"; done; echo "$0" >&2; exit 3
"""


def test_words_rights_and_what_is_left(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments arrive as they are; the file is its user's alone while it runs, and gone after."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    old = os.umask(0o027)
    try:
        args = ["a b", "$(x)", "it's", 5, ["h1", "h2"]]
        seen = do("script", {"file": script(place, SHOW), "args": args}, place, "change")
    finally:
        os.umask(old)
    assert seen.values["stdout_lines"] == ["0027", "600", "700", "<a b>", "<$(x)>", "<it's>", "<5>", "<h1,h2>"]
    assert seen.values["rc"] == 3
    assert seen.values["stderr"].endswith("/it's.sh")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_other_languages_and_bytes(place: Place) -> None:
    text = f"#!{sys.executable} -I\nimport sys\nprint(sys.argv[1:], sys.flags.isolated)\n"
    name = script(place, text, "scripts/x.py")
    assert do("script", {"file": name, "args": ["1"]}, place).values["stdout"] == "['1'] 1"
    name = script(place, "#!/usr/bin/env -S sh -e\nfalse\necho no\n")
    assert do("script", name, place).values["rc"] == 1
    name = script(place, b'#!/bin/sh\ntail -c 4 "$0" | od -An -tx1\nexit\n\0\xff\r\n')
    assert do("script", name, place).values["stdout"].split() == ["00", "ff", "0d", "0a"]


def test_ended_in_the_middle(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TERM to its group, as a receipt's worker sends it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    nap = f"{600 + os.getpid() / 1e6:.6f}"
    fields = SCRIPT.fields.model_validate({"file": script(place, f"#!/bin/sh\nsleep {nap}\n")})
    text = SCRIPT.call(fields, place, "change").script.text
    with subprocess.Popen(["sh", "-c", text], start_new_session=True) as process:
        until(lambda: any(nap.encode() in line for line in command_lines()))
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(20) == 143
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_interpreter_that_is_not_there(place: Place) -> None:
    name = script(place, "#!/no/such/interpreter\n")
    assert not do("script", name, place, "look").known
    assert do("script", name, place, "change").values["rc"] == 127


BAD = [
    (b"echo\n", "its.sh:1: the first line names no interpreter"),
    (b"", "names no interpreter"),
    (b"#! \n", "names no interpreter"),
    (b"#!sh\n", "names no interpreter"),
    (b"#!/bin/sh\r\n", "its.sh:1: the lines end like in Windows"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_first_lines(data: bytes, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        SCRIPT.vet(SCRIPT.fields.model_validate({"file": "its.sh"}), {"beside/its.sh": data})


def test_interpreters() -> None:
    assert interpreter(b"#!/bin/sh\n", "x") == ["/bin/sh"]
    assert interpreter(b"#! /usr/bin/env -S python3 -u \n", "x") == ["/usr/bin/env", "-S python3 -u"]


@pytest.mark.parametrize("file", ["", "/x", "../x", "a/../../x", ".", "{{ params.x }}", "x {{ a }}", "a\nb"])
def test_paths_that_are_refused(file: str) -> None:
    with pytest.raises(ValidationError, match=r"below the runbook's folder|a template can't stand here"):
        SCRIPT.fields.model_validate({"file": file})


def test_not_in_the_plan(place: Place) -> None:
    with pytest.raises(HisautoError, match=r"'gone.sh' is not in the plan's files"):
        do("script", "gone.sh", place)


def test_a_large_one_as_a_look(place: Place) -> None:
    begun = time.monotonic()
    name = script(place, "#!/bin/sh\necho here\nexit\n" + "# padding\n" * 300_000)
    fields = SCRIPT.fields.model_validate({"file": name})
    call = SCRIPT.call(fields, place, "look")
    assert len(call.script.text) > 3_000_000
    path = place.files / "script"
    path.write_text(call.script.text)
    done = subprocess.run(["sh", path], capture_output=True, timeout=60)
    assert (done.stdout, done.returncode) == (b"here\n", 0)
    assert time.monotonic() - begun < 60
