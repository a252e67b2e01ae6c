# ruff: noqa: E501  (a table: a case is easier to read on its own line)
"""What a person types: the same thing as the action does, tried at real other sides by a real shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hisauto.errors import UsageError
from hisauto.model.action import ByHand, Place, Purpose

from .peers import ACTIONS, Postgres

HERE = Place("h1", {"power_command": ["pdu", "--outlet", "it's 4"]}, {})
CASES: list[tuple[str, dict[str, Any], Purpose, str, str]] = [
    ("command", {"argv": "systemctl restart 'a b'"}, "change", "systemctl restart 'a b'", "host"),
    ("shell", {"script": "a | b\n"}, "change", "a | b", "host"),
    ("power", {"verb": "off"}, "change", "pdu --outlet \"it's 4\" off", "node"),
    ("http", {"url": "http://x/a?b={c}"}, "look",
     "curl -q -sSg --noproxy '*' -m 10 -w '\\n%{http_code}\\n' 'http://x/a?b={c}'", "node"),
    ("http", {"url": "http://x/", "method": "POST", "json": {"a": "it's"}, "from": "host", "timeout": "2s",
              "headers": {"Authorization": "Bearer s3cr3t'word"}}, "change",
     "curl -q -sSg --noproxy '*' -m 2 -w '\\n%{http_code}\\n' -X POST -H 'Authorization: ********' "
     "-H 'Content-Type: application/json' --data-raw '{\"a\": \"it'\"'\"'s\"}' http://x/", "host"),
    ("http", {"url": "http://me:s3cr3tword@x/", "method": "HEAD"}, "look",
     "curl -q -sSg --noproxy '*' -m 10 -w '\\n%{http_code}\\n' -I 'http://me:********@x/'", "node"),
    ("sql", {"query": "select 'a'"}, "look",
     "env PGCONNECT_TIMEOUT=3 'PGOPTIONS=-c default_transaction_read_only=on' psql -X -c \"select 'a'\"", "host"),
    ("sql", {"query": "select pg_promote()"}, "change", "env PGCONNECT_TIMEOUT=3 psql -X -c 'select pg_promote()'", "host"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "purpose", "text", "on"), CASES)
def test_what_is_typed(kind: str, given: dict[str, Any], purpose: Purpose, text: str, on: str) -> None:
    action = ACTIONS[kind]
    assert isinstance(action, ByHand)
    typed = action.by_hand(action.fields.model_validate(given), HERE, purpose)
    assert (typed.text, typed.on) == (text, on)


def test_a_role_without_a_host_is_refused() -> None:
    role = ACTIONS["role"]
    assert isinstance(role, ByHand)
    with pytest.raises(UsageError, match="needs a host"):
        role.by_hand(role.fields.model_validate({"role": "r"}), Place(None, {}, {}), "change")


def typed(kind: str, given: dict[str, Any], place: Place, purpose: Purpose) -> subprocess.CompletedProcess[str]:
    action = ACTIONS[kind]
    assert isinstance(action, ByHand)
    text = action.by_hand(action.fields.model_validate(given), place, purpose).text
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "ANSIBLE_LOCALHOST_WARNING": "false"}
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=60, env=env)


def test_psql_tells_the_same_and_a_look_writes_nothing(pg: Postgres) -> None:
    place = Place("db1", dict(pg.vars), {})
    found = typed("sql", {"query": "select 1 + 1 as two,\n 'it''s' as said"}, place, "look")
    assert found.returncode == 0 and "two" in found.stdout and "it's" in found.stdout, found.stderr
    refused = typed("sql", {"query": "create table by_hand (a int)"}, place, "look")
    assert refused.returncode == 1 and "read-only transaction" in refused.stderr
    assert typed("sql", {"query": "create table by_hand (a int)"}, place, "change").returncode == 0
    assert typed("sql", {"query": "drop table by_hand"}, place, "change").returncode == 0


def test_psql_gives_up_on_a_host_that_is_dark(dark_port: int) -> None:
    place = Place("db1", {"pg_host": "127.0.0.1", "pg_port": dark_port}, {})
    assert "timeout expired" in typed("sql", {"query": "select 1"}, place, "look").stderr


def test_curl_tells_the_same(web: str) -> None:
    sent = {"a": ["it's", '"', "$HOME"]}
    found = typed("http", {"url": f"{web}/201", "method": "POST", "json": sent}, Place("h", {}, {}), "change")
    seen, _, status = found.stdout.rstrip().rpartition("\n")
    assert status == "201" and json.loads(json.loads(seen)["body"]) == sent, found.stderr


def test_ansible_applies_the_role(tmp_path: Path) -> None:
    tasks = tmp_path / "files" / "roles" / "writes" / "tasks"
    tasks.mkdir(parents=True)
    out = tmp_path / "out"
    tasks.joinpath("main.yml").write_text('- copy: {content: "{{ text }}", dest: "{{ dest }}"}\n')
    inventory = tmp_path / "hosts.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"all": {"hosts": {"h1": local}}}))
    place = Place("h1", {}, {}, inventory=(inventory,), files=tmp_path / "files")
    given = {"role": "writes", "vars": {"text": "it's", "dest": str(out)}}
    tried = typed("role", given, place, "look")
    assert tried.returncode == 0 and not out.exists(), tried.stdout + tried.stderr
    done = typed("role", given, place, "change")
    assert done.returncode == 0 and out.read_text() == "it's", done.stdout + done.stderr


def test_a_script_and_a_file_as_they_are_typed(tmp_path: Path) -> None:
    """A shell and another interpreter take the script from the paper; the file is put there as it stands."""
    beside = tmp_path / "files" / "beside"
    beside.mkdir(parents=True)
    beside.joinpath("a.sh").write_text("#!/bin/sh -eu\nprintf '%s|' \"$@\"\n")
    beside.joinpath("a.py").write_text("#!/usr/bin/python3\nimport sys\nprint(sys.argv[1:])\n")
    beside.joinpath("it.j2").write_text("{{ here }} it's $HOME\n{{ secret_word }}\n")
    place = Place("h1", {}, {}, files=tmp_path / "files", names={"here": "h1"})
    assert typed("script", {"file": "a.sh", "args": ["it's", "b c"]}, place, "change").stdout == "it's|b c|"
    assert typed("script", {"file": "a.py", "args": ["it's"]}, place, "change").stdout == "[\"it's\"]\n"
    dest = tmp_path / "to" / "it's"
    dest.parent.mkdir()
    given = {"src": "it.j2", "dest": str(dest), "mode": "0640", "backup": True, "validate": "grep -q HOME %s",
             "vars": {"secret_word": "s3cr3tword"}}  # fmt: skip
    dest.write_text("old\n")
    assert typed("template", given, place, "change").returncode == 0
    assert (dest.read_text(), oct(dest.stat().st_mode)[-3:]) == ("h1 it's $HOME\n********\n", "640")
    assert Path(f"{dest}.old").read_text() == "old\n"
    assert typed("template", given, place, "look").returncode == 0
    dest.write_text("by hand\n")
    assert typed("template", given, place, "look").returncode == 1


def test_a_module_and_a_playbook_as_they_are_typed(tmp_path: Path) -> None:
    books = tmp_path / "files" / "beside" / "books"
    books.mkdir(parents=True)
    out = tmp_path / "out"
    task = {"copy": {"content": "{{ text }}", "dest": str(out)}}
    books.joinpath("b.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    inventory = tmp_path / "hosts.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"all": {"hosts": {"h1": local}}}))
    place = Place("h1", {}, {}, inventory=(inventory,), files=tmp_path / "files")
    given = {"file": "books/b.yml", "vars": {"text": "it's"}}
    done = typed("playbook", given, place, "change")
    assert done.returncode == 0 and out.read_text() == "it's", done.stdout + done.stderr
    module = {"name": "ansible.builtin.file", "args": {"path": str(out), "state": "absent"}}
    assert typed("module", module, place, "look").returncode == 0 and out.exists()
    done = typed("module", module, place, "change")
    assert done.returncode == 0 and not out.exists(), done.stdout + done.stderr
