"""``role``: real Ansible, on this machine and over a real sshd."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from hisauto.errors import HisautoError
from hisauto.model.action import Observation, Place, Purpose
from hisauto.model.transport import Completed, Fate
from hisauto.transports.local import LocalTransport

from .peers import ACTIONS, Sshd, command_lines, do, execute, until
from .plays import LOCAL, SET, role, site, ssh_vars

ROLE = ACTIONS["role"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return site(tmp_path, LOCAL)


def apply(place: Place, purpose: Purpose = "change", **vars: object) -> Observation:
    return do("role", {"role": "it", "vars": vars}, place, purpose)


def test_script(place: Place) -> None:
    """The play and its variables are files of the user alone, and the same every time."""
    role(place, SET)
    fields = ROLE.fields.model_validate({"role": "it", "vars": {"text": "{{ x }}", "n": 1, "db_password": "s3cret"}})
    seen = []
    for _ in range(2):
        call = ROLE.call(fields, place, "change")
        folder = Path(shlex.split(call.script.text)[-1])
        seen.append({p.name: p.read_text() for p in folder.iterdir()})
        assert [stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.iterdir())] == [0o700, 0o600, 0o600]
    assert seen[0] == seen[1]
    assert call.on == "node"
    assert call.script.secrets == ("s3cret",)
    assert "s3cret" not in call.script.text
    assert seen[0]["play.yml"].splitlines() == [
        '- "name": "it"',
        '  "hosts": "h1"',
        '  "gather_facts": false',
        '  "roles":',
        '  - "role": "it"',
        '    "vars":',
        '      "text": !unsafe "{{ x }}"',
        '      "n": 1',
        '      "db_password": "s3cret"',
    ]
    assert json.loads(seen[0]["job.json"])["check"] is False
    looks = [Path(shlex.split(ROLE.call(fields, place, "look").script.text)[-1]) for _ in range(2)]
    assert looks[0] != looks[1]
    assert json.loads((looks[0] / "job.json").read_text())["check"] is True
    assert {stat.S_IMODE(p.stat().st_mode) for p in (place.workdir, *looks)} == {0o700}


def test_what_cannot_be_applied(place: Place) -> None:
    with pytest.raises(HisautoError, match="no role 'it'"):
        apply(place)
    with pytest.raises(HisautoError, match="needs a host"):
        apply(replace(place, host=None))
    with pytest.raises(ValidationError):
        ROLE.fields.model_validate({"role": "../it"})


def test_preview_apply_again(place: Place, tmp_path: Path) -> None:
    """Check mode tells and touches nothing; variables are data and beat the role's own; nothing is left behind."""
    role(place, SET, text="the role's own")
    path, text = tmp_path / "made", "s3cret {{ 1 + 1 }} {% x %} 汉字"
    fields = ROLE.fields.model_validate({"role": "it", "vars": {"text": text, "path": str(path), "hide": True}})
    preview = ROLE.read(fields, execute(ROLE.call(fields, place, "look")), "look")
    assert (preview.values["changed"], path.exists()) == (1, False)
    done = execute(ROLE.call(fields, place, "change"))
    first = ROLE.read(fields, done, "change")
    assert first.values["tasks"] == [{"name": "Write", "state": "changed", "message": ""}]
    assert path.read_text() == text + "\n"
    assert b"s3cret" not in done.out + done.err
    assert list(place.workdir.iterdir()) == []
    again = ROLE.read(fields, execute(ROLE.call(fields, place, "change")), "change")
    assert dict(again.values) == {
        "rc": 0, "ok": 1, "changed": 0, "failed": 0, "unreachable": 0, "skipped": 0,
        "tasks": [{"name": "Write", "state": "ok", "message": ""}],
    }  # fmt: skip


def test_asked_for_again_its_files_stay(place: Place, tmp_path: Path) -> None:
    """Whoever takes over asks for the script while Ansible may be at work in its folder."""
    role(place, SET)
    fields = ROLE.fields.model_validate({"role": "it", "vars": {"path": str(tmp_path / "made")}})
    first = ROLE.call(fields, place, "change")
    (in_use := place.workdir / "change" / "in-use").touch()
    assert ROLE.call(fields, place, "change") == first
    assert in_use.exists()
    assert [path.name for path in place.workdir.iterdir()] == ["change"]


FAILING = """
- name: Tolerated
  ansible.builtin.fail: {msg: never mind}
  ignore_errors: true
- name: Skipped
  ansible.builtin.debug:
  when: false
- name: Fatal
  ansible.builtin.fail: {msg: "two\\nlines, and HISAUTO-RESULT {}"}
- name: Never
  ansible.builtin.debug:
"""


def test_a_task_that_fails(place: Place) -> None:
    role(place, FAILING)
    seen = apply(place)
    assert seen.known
    assert {k: v for k, v in seen.values.items() if k != "tasks"} == {
        "rc": 2, "ok": 1, "changed": 0, "failed": 1, "unreachable": 0, "skipped": 1
    }  # fmt: skip
    assert [(t["name"], t["state"]) for t in seen.values["tasks"]] == [
        ("Tolerated", "ignored"), ("Skipped", "skipped"), ("Fatal", "failed")
    ]  # fmt: skip
    assert seen.why == "Fatal: two\nlines, and HISAUTO-RESULT {}"


def test_what_is_broken_is_said(place: Place) -> None:
    role(place, "- name: Bad\n  no.such.module: {}\n")
    seen = apply(place)
    assert (seen.known, seen.values["rc"] != 0, seen.values["ok"]) == (True, True, 0)
    assert "no.such.module" in seen.why


@contextmanager
def started(place: Place, **vars: object) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The role's process and the mark that all of its children carry; ended, if it hasn't by itself."""
    fields = ROLE.fields.model_validate({"role": "it", "vars": vars})
    value = f"test-{os.getpid()}-{time.monotonic_ns()}"
    mark = f"HISAUTO_ATTEMPT={value}"
    with subprocess.Popen(
        ["sh", "-c", ROLE.call(fields, place, "change").script.text],
        env={**os.environ, "HISAUTO_ATTEMPT": value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process, mark
        finally:
            end(mark, signal.SIGKILL)


def carriers(mark: str) -> dict[int, str]:
    """Processes that carry the mark, with their command lines."""
    found = {}
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environ.read_bytes().split(b"\0"):
                found[int(environ.parent.name)] = environ.with_name("cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def end(mark: str, number: signal.Signals) -> None:
    """What the receipts on the node do with an attempt that is to end."""
    for pid in carriers(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


WAITING = """
- name: First
  ansible.builtin.command: {argv: [touch, "{{ path }}"]}
- name: Long
  ansible.builtin.command: {argv: [sh, -c, "until [ -e {{ path }}.go ]; do sleep 0.05; done"]}
"""


def test_events_come_as_they_happen(place: Place, tmp_path: Path) -> None:
    role(place, WAITING)
    lines = []
    with started(place, path=str(tmp_path / "p")) as (process, _):
        assert process.stdout
        for line in process.stdout:
            lines.append(line.decode().strip())
            if "changed: [h1]" in lines and not (tmp_path / "p.go").exists():
                assert process.poll() is None
                (tmp_path / "p.go").touch()
        assert process.wait(20) == 0
    assert lines.count("changed: [h1]") == 2
    assert [line.partition("*")[0].strip() for line in lines if line.startswith("TASK")] == [
        "TASK [it : First]", "TASK [it : Long]"
    ]  # fmt: skip
    assert lines[-1].startswith("HISAUTO-RESULT {")


def test_told_to_stop(place: Place, tmp_path: Path) -> None:
    """A TERM to everything that carries the attempt's mark: nothing is left, neither process nor folder."""
    role(place, WAITING)
    with started(place, path=str(tmp_path / "p")) as (process, mark):
        until(lambda: any("until [ -e" in line for line in carriers(mark).values()), 60)
        end(mark, signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        until(lambda: not carriers(mark))
    assert list(place.workdir.iterdir()) == []
    seen = ROLE.read(ROLE.fields.model_validate({"role": "it"}), Completed(254, "exit", out), "change")
    assert (seen.known, seen.why) == (False, "it was told to stop")


def test_under_a_receipt(place: Place, tmp_path: Path) -> None:
    """Held by the node like a command by a host: run once, told again, and ended with all its children."""
    role(place, WAITING)
    transport = LocalTransport(base=str(tmp_path / "receipts"))
    try:
        session = transport.session("node", {}, "run-1")
        here = session.place()
        assert here
        fields = ROLE.fields.model_validate({"role": "it", "vars": {"path": str(tmp_path / "p")}})
        script = ROLE.call(fields, place, "change").script
        begun = tmp_path / "p"
        receipt = session.act("1#1", 1, script, here, cancelled=begun.exists)
        assert (receipt.fate, receipt.completed and receipt.completed.how) == (Fate.finished, "killed")
        assert not [line for line in command_lines() if str(place.workdir).encode() in line]
        (tmp_path / "p.go").touch()
        script = ROLE.call(fields, place, "change").script
        for _ in range(2):
            receipt = session.act("1#2", 1, script, here)
            assert receipt.completed
            assert ROLE.read(fields, receipt.completed, "change").values["changed"] == 2
    finally:
        transport.close()


def test_over_ssh(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken ~/.ansible.cfg and the user's ANSIBLE_ variables have no part in it; no ssh master stays."""
    (tmp_path / ".ansible.cfg").write_text("[defaults]\nroles_path = /nowhere\nstdout_callback = nowhere\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "nowhere")
    monkeypatch.setenv("LC_ALL", "C")
    far = tmp_path / ("a long folder " * 8)
    far.mkdir()
    place = replace(site(far, ssh_vars(sshd)), known_hosts=sshd.known_hosts)
    role(place, SET)
    with started(place, text="x", path=str(tmp_path / "made")) as (process, mark):
        out, _ = process.communicate(timeout=60)
        until(lambda: not carriers(mark))
    seen = ROLE.read(ROLE.fields.model_validate({"role": "it"}), Completed(process.returncode, "exit", out), "change")
    assert seen.known, seen.why
    assert (seen.values["rc"], seen.values["changed"]) == (0, 1), seen.why
    assert (tmp_path / "made").read_text() == "x\n"


def test_another_host_key(sshd: Sshd, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    known = tmp_path / "known hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {other.with_suffix('.pub').read_text()}")
    place = replace(site(tmp_path, ssh_vars(sshd)), known_hosts=known)
    role(place, SET)
    seen = apply(place, text="x", path=str(tmp_path / "made"))
    assert (seen.known, seen.values["unreachable"]) == (True, 1)
    assert "Host key verification failed" in seen.why
    assert not (tmp_path / "made").exists()


def test_nobody_there(refused_port: int, tmp_path: Path) -> None:
    place = site(tmp_path, {"ansible_host": "127.0.0.1", "ansible_port": refused_port})
    role(place, SET)
    seen = apply(place, text="x", path="/dev/null")
    assert (seen.known, seen.values["unreachable"], seen.values["failed"]) == (True, 1, 0)
    assert "ssh: connect to host" in seen.why


RESULT = {"rc": 4, "ok": 1, "changed": 1, "failed": 0, "unreachable": 1, "skipped": 0, "error": "", "broken_off": False}


@pytest.mark.parametrize(
    ("message", "purpose", "known"),
    [
        (
            "Failed to connect to the host via ssh: ssh: connect to host 10.0.0.1 port 22: No route to host",
            "change",
            True,
        ),
        ("Failed to connect to the host via ssh: Shared connection to 10.0.0.1 closed.", "change", False),
        (
            "Failed to connect to the host via ssh: ssh: connect to host 10.0.0.1 port 22: No route to host",
            "look",
            False,
        ),
    ],
)
def test_a_line_that_went_in_mid_task(message: str, purpose: Purpose, known: bool) -> None:
    tasks = [{"name": "Write", "state": "unreachable", "message": message}]
    out = f"PLAY\nHISAUTO-RESULT {json.dumps({**RESULT, 'tasks': tasks})}\n".encode()
    seen = ROLE.read(ROLE.fields.model_validate({"role": "it"}), Completed(4, "exit", out), purpose)
    assert (seen.known, seen.why) == (known, f"Write: {message}")


def test_no_result() -> None:
    fields = ROLE.fields.model_validate({"role": "it"})
    for out in (b"", b"HISAUTO-RESULT {}\nPLAY\n"):
        seen = ROLE.read(fields, Completed(137, "exit", out, b"Killed\n"), "change")
        assert (seen.known, seen.why) == (False, "Ansible ended with 137 without a result: Killed")
