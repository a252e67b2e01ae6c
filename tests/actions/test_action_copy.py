"""``copy`` and ``template``: real files, by dash and by busybox, over a real session."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hisauto.actions.beside import MOST
from hisauto.errors import HisautoError, Invalid, UsageError
from hisauto.model.action import Observation, Place
from hisauto.model.transport import Completed
from hisauto.transports.local import LocalTransport

from .peers import ACTIONS, do, execute

SHELLS = ["sh", *(["busybox sh"] if shutil.which("busybox") else [])]
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: files of others")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "files" / "beside").mkdir(parents=True)
    names = {"host": "h1", "params": {"port": 80}, "apps": ["a", "b"]}
    return Place("h1", {}, {}, files=tmp_path / "files", names=names)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A shell whose tools are its own too."""
    if request.param == "sh":
        return "sh"
    folder = tmp_path / "busybox"
    folder.mkdir()
    busybox = shutil.which("busybox") or ""
    for name in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        (folder / name).symlink_to(busybox)
    wrapper = tmp_path / "bsh"
    wrapper.write_text(f'#!/bin/sh\nPATH="{folder}" exec {busybox} sh "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


def beside(place: Place, name: str, data: bytes) -> None:
    path = place.files / "beside" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def put(place: Place, dest: Path, *, look: bool = False, sh: str = "sh", **fields: Any) -> Observation:
    kind = "template" if "vars" in fields or fields.get("src", "").endswith(".j2") else "copy"
    return do(kind, {"dest": str(dest), **fields}, place, "look" if look else "change", sh=sh)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_already_other(place: Place, tmp_path: Path, shell: str) -> None:
    """A look tells what would be done, and touches nothing; the second time there is nothing left to do."""
    data, dest = bytes(range(256)) * 300 + b"\0no newline", tmp_path / "a folder's" / "it's $HOME.bin"
    dest.parent.mkdir()
    beside(place, "blob.bin", data)
    wanted = {"rc": 0, "changed": True, "sha256": hashlib.sha256(data).hexdigest()}
    seen = put(place, dest, src="blob.bin", look=True, sh=shell)
    assert (seen.known, dict(seen.values), seen.why, dest.exists()) == (True, wanted, "it is not there", False)
    assert dict(put(place, dest, src="blob.bin", sh=shell).values) == wanted
    assert (dest.read_bytes(), mode(dest)) == (data, 0o600)
    assert [p.name for p in dest.parent.iterdir()] == [dest.name]
    number = dest.stat().st_ino
    for look in (True, False):
        assert dict(put(place, dest, src="blob.bin", look=look, sh=shell).values) == {**wanted, "changed": False}
    assert dest.stat().st_ino == number
    dest.write_bytes(data[:-1] + b"E")  # the same size
    assert put(place, dest, src="blob.bin", look=True, sh=shell).why == "its content is another"


def test_what_is_not_said_stays(place: Place, tmp_path: Path, shell: str) -> None:
    dest = tmp_path / "it"
    dest.write_text("old\n")
    dest.chmod(0o640)
    put(place, dest, content="new\n", sh=shell)
    assert (dest.read_text(), mode(dest)) == ("new\n", 0o640)
    assert put(place, dest, content="new\n", mode="0604", look=True, sh=shell).why == "its mode is 640"
    put(place, dest, content="new\n", mode="0604", sh=shell)
    assert mode(dest) == 0o604
    put(place, dest, content="", sh=shell)
    assert (dest.read_text(), mode(dest)) == ("", 0o604)
    assert not put(place, dest, content="", look=True, sh=shell).values["changed"]


@needs_root
def test_owner_and_group(place: Place, tmp_path: Path, shell: str) -> None:
    dest, nobody = tmp_path / "it", pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    put(place, dest, content="x", owner="nobody", group=str(nobody.pw_gid), sh=shell)
    assert (dest.stat().st_uid, dest.stat().st_gid, mode(dest)) == (nobody.pw_uid, nobody.pw_gid, 0o600)
    seen = put(place, dest, content="x", owner=str(nobody.pw_uid), group=group, look=True, sh=shell)
    assert not seen.values["changed"]
    put(place, dest, content="y", mode="4711", sh=shell)
    assert (dest.stat().st_uid, dest.stat().st_gid, mode(dest)) == (nobody.pw_uid, nobody.pw_gid, 0o4711)
    seen = put(place, dest, content="y", owner="root", group="root", look=True, sh=shell)
    assert seen.why == f"its owner is nobody, its group is {group}"
    refused = put(place, dest, content="z", owner="no_such_user", sh=shell)
    assert (refused.known, dict(refused.values), dest.read_text()) == (True, {"rc": 1}, "y")
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".it")] == []


def test_backup(place: Place, tmp_path: Path, shell: str) -> None:
    """Of what is replaced, named by its content: the same content is kept once."""
    dest = tmp_path / "it"
    assert "backup" not in put(place, dest, content="1", backup=True, sh=shell).values
    dest.chmod(0o640)
    kept = Path(put(place, dest, content="2", backup=True, sh=shell).values["backup"])
    assert (kept.name, kept.read_text(), mode(kept)) == (f"it.{hashlib.sha256(b'1').hexdigest()[:12]}.bak", "1", 0o640)
    put(place, dest, content="1", sh=shell)
    assert put(place, dest, content="3", backup=True, sh=shell).values["backup"] == str(kept)
    assert "backup" not in put(place, dest, content="3", mode="0600", backup=True, sh=shell).values
    assert {p.name for p in tmp_path.glob("*it*")} == {"it", kept.name}


def test_validate(place: Place, tmp_path: Path, shell: str) -> None:
    """The new file is looked at before the old one goes; a no leaves everything as it was."""
    dest = tmp_path / "it"
    dest.write_text("good\n")
    for content, rc in (("bad\n", 1), ("good 2\n", 0)):
        seen = put(place, dest, content=content, validate="grep -q 'good' '--' %s", mode="0600", sh=shell)
        assert (seen.known, seen.values["rc"]) == (True, rc)
    assert dest.read_text() == "good 2\n"
    seen = put(place, dest, content="x", validate=["sh", "-c", "echo no: $1; exit 7", "name with %s"], sh=shell)
    assert (dict(seen.values), dest.read_text()) == ({"rc": 1}, "good 2\n")
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".it")] == []


def test_what_is_not_replaced(place: Place, tmp_path: Path, shell: str) -> None:
    (tmp_path / "there").write_text("x")
    (tmp_path / "link").symlink_to("there")
    for name, said in (("link", "symbolic link"), ("files", "directory"), ("there/below", "Not a directory")):
        look = put(place, tmp_path / name, content="y", look=True, sh=shell)
        done = put(place, tmp_path / name, content="y", sh=shell)
        assert (look.known, done.known, said in look.why, said in done.why) == (False, True, True, True), (name, look)
        assert done.values["rc"] != 0
    nowhere = put(place, tmp_path / "no" / "folder", content="y", sh=shell)
    assert (nowhere.known, nowhere.values["rc"]) == (True, 1)
    assert (tmp_path / "there").read_text() == "x"


@needs_root
def test_what_cannot_be_seen_is_unknown(place: Place, tmp_path: Path) -> None:
    """A folder that hides its files doesn't make them absent."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "it").write_text("x")
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    fields = ACTIONS["copy"].fields.model_validate({"dest": str(hidden / "it"), "content": "x"})
    text = ACTIONS["copy"].call(fields, place, "look").script.text
    done = subprocess.run(["sh", "-c", text], user="nobody", capture_output=True, cwd="/")
    seen = ACTIONS["copy"].read(fields, Completed(done.returncode, "exit", done.stdout, done.stderr))
    assert (seen.known, "Permission denied" in seen.why) == (False, True)


def test_a_full_disk(place: Place, tmp_path: Path) -> None:
    """What didn't arrive whole replaces nothing."""
    dest = tmp_path / "it"
    dest.write_text("old")
    fields = ACTIONS["copy"].fields.model_validate({"dest": str(dest), "content": "x" * 20_000})
    call = ACTIONS["copy"].call(fields, place, "change")
    limited = replace(call, script=replace(call.script, text=f"ulimit -f 8\n{call.script.text}"))
    seen = ACTIONS["copy"].read(fields, execute(limited), "change")
    assert (seen.known, dict(seen.values), dest.read_text()) == (True, {"rc": 1}, "old")
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".it")] == []


def test_the_size_limit_and_a_receipt(place: Place, tmp_path: Path) -> None:
    """The largest file goes through a receipt; one byte more is refused before anything is sent."""
    data = os.urandom(MOST)
    beside(place, "big", data)
    transport = LocalTransport(base=str(tmp_path / "receipts"))
    try:
        session = transport.session("node", {}, "run-1")
        fields = ACTIONS["copy"].fields.model_validate({"dest": str(tmp_path / "big"), "src": "big"})
        receipt = session.act("1#1", 1, ACTIONS["copy"].call(fields, place, "change").script, session.place())
        assert receipt.completed
        assert ACTIONS["copy"].read(fields, receipt.completed, "change").values["changed"] is True
        look = session.probe(ACTIONS["copy"].call(fields, place, "look").script)
        assert ACTIONS["copy"].read(fields, look, "look").values["changed"] is False
    finally:
        transport.close()
    assert (tmp_path / "big").read_bytes() == data
    with pytest.raises(Invalid, match=r"big has 10,485,761 bytes, and 10,485,760 is the most"):
        ACTIONS["copy"].vet(fields, {"beside/big": data + b"x"})
    with pytest.raises(Invalid, match="is the most"):
        put(place, tmp_path / "x", content="x" * (MOST + 1))


def test_a_diff(place: Place, tmp_path: Path, shell: str) -> None:
    dest = tmp_path / "it"
    beside(place, "it.j2", b"a\nport {{ params.port }}\n")
    first = put(place, dest, src="it.j2", look=True, sh=shell)
    assert first.diff.splitlines()[2:] == ["@@ -0,0 +1,2 @@", "+a", "+port 80"]
    dest.write_text("a\nport 79\nz\n")
    seen = put(place, dest, src="it.j2", look=True, sh=shell)
    assert seen.diff.splitlines() == [
        f"--- {dest}", f"+++ {dest} (new)", "@@ -1,3 +1,2 @@", " a", "-port 79", "-z", "+port 80",
    ]  # fmt: skip
    dest.write_bytes(b"\xff\xfe")
    assert put(place, dest, src="it.j2", look=True, sh=shell).diff == "(not text)"
    dest.write_bytes(b"x" * 100_000)
    assert put(place, dest, src="it.j2", look=True, sh=shell).diff == ""
    put(place, dest, src="it.j2", sh=shell)
    assert put(place, dest, src="it.j2", look=True, mode="0644", sh=shell).diff == ""


TEMPLATES = [
    (
        b"{% for app in apps %}\n{{ loop.index }} {{ app }}{% if not loop.last %},{% endif %}\n\n{% endfor %}\n"
        b"# {# note #}end",
        "1 a,\n2 b\n# end",
    ),
    (b"{{ host }}:{{ params.port + extra }} {{ apps | join('+') }} ${#x}", "h1:81 a+b ${#x}"),
    ("汉字 {{ '{{' }} {{ data }}\n".encode(), "汉字 {{ {{ host }}\n"),
]


@pytest.mark.parametrize(("text", "filled"), TEMPLATES)
def test_templates(place: Place, tmp_path: Path, text: bytes, filled: str) -> None:
    """The names of the runbook, and data that is never evaluated again."""
    if b"{#x" in text:
        text = text.replace(b"${#x}", b"${{ '{#' }}x}")
    beside(place, "x.conf", text)
    put(place, tmp_path / "x", src="x.conf", vars={"extra": 1, "data": "{{ host }}"})
    assert (tmp_path / "x").read_text() == filled


BAD_TEMPLATES = [
    (b"a\n{{ nothing.x }}", r"x.j2:2: 'nothing' is undefined"),
    (b"\n\n{{ apps }}", r"x.j2:3: a list or mapping can't stand in text"),
    (b"{% if host and params %}{% endif %}", r"x.j2:1: .*neither true nor false"),
    (b"{{ host.__class__ }}", r"x.j2:1: access to attribute '__class__'"),
    (b"{{ host", r"x.j2:1: unexpected end of template"),
    (b"\n{% for x in y %}", r"x.j2:2: "),
    (b"{% include 'y' %}", r"x.j2:1: a template stands alone"),
    (b"ok\n\xff", r"x.j2:2: not UTF-8"),
    (b"{{ 'x' | shout }}", r"x.j2:1: No filter named 'shout'"),
    (b"{% set x = 'x' * 9999999 %}", r"x.j2:1: the expression makes too much data"),
    (b"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", r"x.j2:1: "),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEMPLATES)
def test_bad_templates(place: Place, tmp_path: Path, text: bytes, message: str) -> None:
    beside(place, "x.j2", text)
    with pytest.raises(Invalid, match=message):
        put(place, tmp_path / "x", src="x.j2")


BAD_FIELDS = [
    ("copy", {"dest": "/x"}, "src .* or content, one of them"),
    ("copy", {"dest": "/x", "src": "a", "content": "b"}, "one of them"),
    ("copy", {"dest": "x", "content": ""}, "full path"),
    ("copy", {"dest": "/x/../y", "content": ""}, "full path"),
    ("copy", {"dest": "/x/", "content": ""}, "full path"),
    ("copy", {"dest": "/x", "src": "../a"}, "below the runbook's folder"),
    ("copy", {"dest": "/x", "src": "/etc/passwd"}, "below the runbook's folder"),
    ("copy", {"dest": "/x", "src": "{{ params.x }}"}, "a template can't stand here"),
    ("copy", {"dest": "/x", "content": "", "mode": "rw-r--r--"}, "pattern"),
    ("copy", {"dest": "/x", "content": "", "owner": "a b"}, "pattern"),
    ("copy", {"dest": "/x", "content": "", "validate": "nginx -t"}, "%s has to stand"),
    ("template", {"dest": "/x", "src": "a", "vars": {"host": 1}}, "already"),
    ("template", {"dest": "/x", "src": "."}, "below the runbook's folder"),
]


@pytest.mark.parametrize(("kind", "fields", "message"), BAD_FIELDS)
def test_bad_fields(kind: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ACTIONS[kind].fields.model_validate(fields)


def test_a_path_that_only_a_run_knows(place: Place) -> None:
    """Rendered fields are looked at again: what an expression gave may be no path."""
    with pytest.raises(UsageError, match="dest: expected the file's full path"):
        put(place, Path("{{ x }}"), content="")
    with pytest.raises(HisautoError, match="is not in the plan's files"):
        put(place, Path("/x"), src="gone")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_content_arrives_as_it_is(place: Place, tmp_path: Path, text: str) -> None:
    put(place, tmp_path / "it", content=text)
    assert (tmp_path / "it").read_bytes() == text.encode()
    assert not put(place, tmp_path / "it", content=text, look=True).values["changed"]
