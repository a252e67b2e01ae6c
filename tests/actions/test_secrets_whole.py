# ruff: noqa: E501  (the runbook is easier to read on its own lines)
"""A canary goes through a run with every action, over a real sshd, database, web server and node; then it is looked for
in every spelling: in the state folder, in what commands print, and, all along, in the process list.
"""

from __future__ import annotations

import base64
import getpass
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.conftest import TestSite, keys, make

from .peers import Postgres, Sshd, command_lines, until

__all__ = ["keys"]

CANARY = "c4n4ry'\"/+$ \\of the night"
LOGIN = "a-pl41n-login-for-the-night"
CORES = ("c4n4ry", "pl41n-login")
RUNBOOK = """\
runbook: canary
version: 1.0.0
title: Every action gets a secret, and tells it to everybody
kind: drill
owner: dba
on_failure: rollback
params: {login: {type: secret, default: login}, folder: {}}
hosts:
  there: {pattern: h1, where: {shell: printenv TOKEN, env: {TOKEN: "{{ secrets.db }}"}}, exactly: 1}
guards:
  - name: The web is there
    http: {url: "WEB/200?x={{ secrets.login }}", headers: {X-Odd: "{{ secrets.db }}"}}
    register: web
steps:
  - name: People decide
    approve: {question: "What is known: {{ web.json.headers | tojson }}", facts: [web], by: {dba: 1}}
  - name: By command
    hosts: there
    command: [sh, -c, 'printenv TOKEN | tee "$0"; printenv TOKEN | base64; printenv TOKEN | od -An -v -tx1 | tr -d " \\n"', "{{ params.folder }}/command"]
    env: {TOKEN: "{{ secrets.db }}"}
    register: said
    undo: {shell: 'echo "gone: $TOKEN"', env: {TOKEN: "{{ secrets.login }}"}, idempotent: true}
  - name: By shell, in pieces
    hosts: there
    shell: |
      for part in "${TOKEN%????????}" "${TOKEN#"${TOKEN%????????}"}"; do printf %s "$part"; printf %s "$part" >&2; sleep 1.2; done
      set -x
      printf %s "$TOKEN" >"$FOLDER/shell"
    env: {TOKEN: "{{ secrets.login }}", FOLDER: "{{ params.folder }}"}
  - name: By SQL
    hosts: there
    sql: {query: "select '{{ secrets.db | replace(\\"'\\", \\"''\\") }}' as token"}
    env: {PGPASSWORD: "{{ secrets.login }}"}
    expect: row.token | length > 6
    changes: yes
    register: row
  - name: By HTTP
    http:
      url: "WEB/200?y={{ secrets.login }}"
      method: POST
      headers: {Authorization: "Bearer {{ secrets.login }}"}
      json: {token: "{{ secrets.db }}"}
  - name: By role
    hosts: there
    role: tells
    vars: {told: "{{ secrets.db }}", target: "{{ params.folder }}/role"}
  - name: By power
    hosts: there
    power: "on"
    env: {TOKEN: "{{ secrets.db }}"}
  - name: Look
    hosts: there
    shell: cat "$FOLDER/command"
    env: {FOLDER: "{{ params.folder }}"}
    changes: no
    register: seen
  - name: Tell
    notify: {to: dba, text: "{{ said.stdout }} {{ seen.stdout }} {{ row.row.token }}"}
  - name: It fails, and says all of it
    hosts: there
    shell: 'echo "$TOKEN is wrong" >&2; exit 3'
    env: {TOKEN: "{{ secrets.db }}"}
"""
ROLE = """\
- name: Write it
  ansible.builtin.copy: {content: "{{ told }}", dest: "{{ target }}", mode: "0600"}
- name: Tell it
  ansible.builtin.debug: {var: told}
- name: Fail with it
  ansible.builtin.fail: {msg: "{{ told }}"}
  ignore_errors: true
"""


def needles() -> list[bytes]:
    """What no file may hold: independent of how it is masked."""
    found = []
    for whole, core in ((CANARY, CORES[0]), (LOGIN, CORES[1])):
        found += [core.encode(), core.encode().hex().encode(), core.encode().hex().upper().encode()]
        for lead in range(3):
            coded = base64.b64encode(b"\0" * lead + whole.encode()).decode().rstrip("=")
            found.append(coded[(0, 2, 3)[lead] :][:8].encode())
    return found


def leaks(data: bytes) -> list[bytes]:
    return [needle for needle in needles() if needle in data]


def test_the_search_finds_what_it_looks_for() -> None:
    for spelled in (CANARY, json.dumps(CANARY), CANARY.encode().hex(), base64.b64encode(f"x={CANARY}".encode()).decode()):
        assert leaks(spelled.encode())


@contextmanager
def watched(work: Path) -> Iterator[tuple[list[bytes], dict[str, int]]]:
    """While it lasts, every process list, for what leaks in it; and the files below ``work`` that hold it: name, mode.

    A folder of somebody else's reach counts as such a file.
    """
    found: list[bytes] = []
    held: dict[str, int] = {}
    looks, stop = [0], threading.Event()

    def below(folder: Path) -> Iterator[Path]:
        for at, folders, files in os.walk(folder):  # unlike rglob it takes what goes away meanwhile
            yield from (Path(at, name) for name in (*folders, *files))

    def watch() -> None:
        while not stop.is_set():
            found.extend(line for line in command_lines() if leaks(line))
            for path in below(work):
                with suppress(OSError):
                    mode = path.lstat().st_mode
                    if stat.S_ISDIR(mode) and mode & 0o077:
                        held[f"{path.name}/"] = stat.S_IMODE(mode)
                    if stat.S_ISREG(mode) and leaks(path.read_bytes()):
                        held[path.name] = held.get(path.name, 0) | stat.S_IMODE(mode)
            looks[0] += 1

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found, held
    finally:
        stop.set()
        thread.join()
        assert looks[0] > 20


@pytest.fixture
def site(tmp_path: Path, keys: Path, sshd: Sshd, pg: Postgres, web: str) -> Iterator[TestSite]:
    made = make(tmp_path / "site", keys)
    kept = made.root / "login.secret"
    kept.write_text(f"{LOGIN}\n")
    kept.chmod(0o600)
    settings = json.loads((made.root / "hisauto.yml").read_text())
    settings["secrets"] = {"db": {"env": "CANARY"}, "login": {"file": str(kept)}}
    (made.root / "hisauto.yml").write_text(json.dumps(settings))
    power = made.root / "power"
    power.write_text('#!/bin/sh\necho "it was told $TOKEN" >&2; echo "$TOKEN"; echo on\n')
    power.chmod(0o700)
    host = {
        "ansible_host": "127.0.0.1", "ansible_port": sshd.port, "ansible_user": sshd.user,
        "ansible_ssh_private_key_file": str(sshd.key), "hisauto_known_hosts": str(sshd.known_hosts),
        "ansible_python_interpreter": sys.executable, "power_command": [str(power)], **pg.vars,
    }  # fmt: skip
    (made.root / "inventory" / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"h1": host}}}))
    tasks = made.root / "roles" / "tells" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text(ROLE)
    (made.root / "runbooks" / "canary.yml").write_text(RUNBOOK.replace("WEB", web))
    made.env["CANARY"] = CANARY
    yield made
    made.end_node()


@pytest.mark.timeout(300)
def test_a_canary_is_nowhere(site: TestSite, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()
    checked = site.invoke("check")
    assert checked.exit_code == 0, checked.output
    said = [site.invoke("plan", "canary", "-p", f"folder={told}", *more).output for more in ((), ("--manual",))]
    assert "secrets" in said[0] and "db, login" in said[0]
    assert "TOKEN=********" in said[1]
    site.env["TMPDIR"] = str(tmp_path / "tmp")
    (tmp_path / "tmp").mkdir(mode=0o700)
    with watched(site.root / ".hisauto" / "work") as (shown, held):
        run = site.started("canary", f"folder={told}")
        site.waiting(run, "gate")
        answer = site.invoke("approve", run, "--yes", who="dba-1")
        assert answer.exit_code == 0, answer.output
        until(lambda: site.json("show", run)["ended_at"] is not None, 200)
        view = site.json("show", run)
    assert shown == []
    # While Ansible is at work its play, its own temporary files and ansible-runner's events hold it, for the node's account.
    assert set(held.values()) <= {0o600}, held
    assert "play.yml" in held and any(name.endswith("-partial.json") for name in held), held
    assert list((site.root / ".hisauto" / "work").rglob("*")) == []
    assert view["state"] == "rolled_back", view["summary"]
    assert "******** is wrong" in view["summary"]["why"]

    # The hosts had them, and said so.
    assert (told / "command").read_text() == f"{CANARY}\n"
    assert (told / "shell").read_text() == LOGIN
    assert (told / "role").read_text() == CANARY
    watch = site.invoke("watch", run)
    assert watch.stdout.count("********") > 10

    said += [answer.output, watch.output, site.invoke("watch", run, "--json").output, site.invoke("show", run).output]
    said += [site.invoke("show", run, "--json").output, site.invoke("runs", "--json").output]
    exported = site.invoke("audit", "export", str(tmp_path / "log.jsonl"))
    assert exported.exit_code == 0, exported.output
    site.end_node()
    for n, text in enumerate([*said, (tmp_path / "log.jsonl").read_text()]):
        assert leaks(text.encode()) == [], n
    files = [p for p in (site.root / ".hisauto").rglob("*") if stat.S_ISREG(p.stat().st_mode)]
    assert {"hisauto.db", "node.log"} <= {p.name for p in files}
    assert {str(p): leaks(p.read_bytes()) for p in files if leaks(p.read_bytes())} == {}
    temporary = [tmp_path / "tmp", Path(f"~{getpass.getuser()}").expanduser() / ".ansible" / "tmp"]
    kept = [p for folder in temporary for p in folder.rglob("*") if p.is_file()]
    assert [p for p in kept if leaks(p.read_bytes())] == []
    receipts = [p for p in Path(f"/var/tmp/hisauto-{os.getuid()}").rglob(f"*{run}*/**/*") if p.is_file()]
    assert [p for p in receipts if leaks(p.read_bytes())] == []
