"""``module`` and ``playbook``, and what all of Ansible has in common: real Ansible, here and over a real sshd."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hisauto.errors import HisautoError
from hisauto.model.action import Observation, Place, Purpose
from hisauto.model.transport import Completed

from .peers import ACTIONS, Sshd, do
from .plays import LOCAL, SET, role, site, ssh_vars

ROLE = ACTIONS["role"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return site(tmp_path, LOCAL)


def module(place: Place, name: str, purpose: Purpose = "change", **args: object) -> Observation:
    return do("module", {"name": name, "args": args}, place, purpose)


def test_a_module(place: Place, tmp_path: Path) -> None:
    """Arguments are text and data; what it returned is there; check mode tells and touches nothing."""
    path = tmp_path / "made"
    line: dict[str, Any] = {"path": str(path), "line": "x {{ 1 + 1 }}", "create": "true", "mode": "0600"}
    preview = module(place, "ansible.builtin.lineinfile", "look", **line)
    assert (preview.values["changed"], path.exists()) == (1, False)
    first = module(place, "ansible.builtin.lineinfile", **line)
    assert (first.values["changed"], first.values["result"]["msg"]) == (1, "line added")
    assert path.read_text() == "x {{ 1 + 1 }}\n"
    assert module(place, "ansible.builtin.lineinfile", "look", **line).values["changed"] == 0


def test_what_a_module_says(place: Place) -> None:
    failed = module(place, "ansible.builtin.command", argv=["sh", "-c", "echo out; exit 3"])
    assert (failed.known, failed.values["failed"], failed.values["result"]["rc"]) == (True, 1, 3)
    assert failed.values["result"]["stdout"] == "out"
    large = module(place, "ansible.builtin.command", argv=["head", "-c", "300000", "/dev/zero"])
    assert (large.values["failed"], "result" in large.values) == (0, False)
    missing = module(place, "no.such.module")
    assert missing.values["rc"] != 0
    assert "no.such.module" in missing.why


def test_check_mode_that_can_not_tell(place: Place) -> None:
    """A command is skipped there: that is no sign that it would change nothing."""
    seen = module(place, "ansible.builtin.command", "look", argv=["true"])
    assert (seen.known, seen.why) == (False, "check mode can't tell what these would do: ansible.builtin.command")
    role(place, "- name: Never\n  ansible.builtin.command: a\n  when: false\n- {name: Ok, ansible.builtin.debug: }\n")
    assert do("role", "it", place, "look").values["changed"] == 0


BOOK = """
- hosts: all
  gather_facts: false
  roles: [it]
  tasks:
    - name: Beside
      ansible.builtin.template: {src: beside.j2, dest: "{{ path }}.2"}
- hosts: h2
  gather_facts: false
  tasks:
    - ansible.builtin.fail:
"""


def test_a_playbook(place: Place, tmp_path: Path) -> None:
    """With the files and roles beside it; on its own host alone; its variables are data and beat all others."""
    role(place, SET, text="the role's own")
    (folder := place.files / "beside" / "books").mkdir(parents=True)
    (folder / "site.yml").write_text(BOOK)
    (folder / "beside.j2").write_text("{{ text }}\n")
    fields = {"file": "books/site.yml", "vars": {"path": str(tmp_path / "made"), "text": "{{ 1 + 1 }}"}}
    seen = do("playbook", fields, place, "change")
    assert (seen.values["rc"], seen.values["changed"], seen.values["failed"]) == (0, 2, 0)
    assert [(tmp_path / name).read_text() for name in ("made", "made.2")] == ["{{ 1 + 1 }}\n"] * 2
    again = do("playbook", fields, replace(place, host="h2"), "change")
    assert (again.values["failed"], again.values["rc"]) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("playbook", "site.yml", "like playbooks/site.yml"),
        ("playbook", "../x/site.yml", "below the runbook's folder"),
        ("playbook", "{{ params.x }}", "a template can't stand here"),
        ("module", {"name": "a b"}, "pattern"),
        ("module", {}, "Field required"),
        ("role", "{{ params.x }}", "a template can't stand here"),
    ],
)
def test_bad_fields(kind: str, fields: object, message: str) -> None:
    action = ACTIONS[kind]
    with pytest.raises(ValidationError, match=message):
        action.fields.model_validate(fields if isinstance(fields, dict) else {action.scalar: fields})


@pytest.mark.parametrize(("kind", "fields"), [("module", {"name": "a.b.c"}), ("playbook", {"file": "a/b.yml"})])
def test_not_on_the_node(place: Place, kind: str, fields: dict[str, str]) -> None:
    with pytest.raises(HisautoError, match="needs a host"):
        do(kind, fields, replace(place, host=None))


@pytest.mark.skipif(os.getuid() != 0, reason="hiding /dev/pts takes root")
def test_without_a_terminal_anywhere(sshd: Sshd, tmp_path: Path) -> None:
    """In a chroot or container without /dev/pts, over ssh."""
    place = replace(site(tmp_path, ssh_vars(sshd)), known_hosts=sshd.known_hosts)
    role(place, SET)
    fields = ROLE.fields.model_validate({"role": "it", "vars": {"path": str(tmp_path / "made"), "text": "x"}})
    hide = "mount -t tmpfs none /dev/pts && { ! python3 -c 'import os; os.openpty()' 2>/dev/null; } && "
    script = ROLE.call(fields, place, "change").script.text
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", hide + script.removeprefix("exec ")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
    )
    seen = ROLE.read(fields, Completed(done.returncode, "exit", done.stdout, done.stderr), "change")
    assert (seen.values.get("rc"), seen.values.get("changed")) == (0, 1), done
    assert (tmp_path / "made").read_text() == "x\n"
