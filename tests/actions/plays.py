"""Small sites for Ansible: an inventory, and a role called ``it``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hisauto.model.action import Place

from .peers import Sshd

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}

SET = """
- name: Write
  ansible.builtin.lineinfile: {line: "{{ text }}", path: "{{ path }}", create: true, mode: "0600"}
  no_log: "{{ hide | default(false) }}"
"""


def site(top: Path, vars: Mapping[str, object]) -> Place:
    (top / "inventory").mkdir()
    (top / "inventory" / "hosts.json").write_text(json.dumps({"all": {"hosts": {"h1": vars, "h2": vars}}}))
    (top / "files").mkdir()
    return Place("h1", vars, {"h1": vars}, (top / "inventory",), top / "files", top / "work" / "3[h1]#1")


def role(place: Place, tasks: str, **defaults: str) -> None:
    """Write the role ``it``."""
    folder = place.files / "roles" / "it"
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "main.yml").write_text(tasks)
    if defaults:
        (folder / "vars").mkdir()
        (folder / "vars" / "main.yml").write_text(json.dumps(defaults))


def ssh_vars(sshd: Sshd) -> dict[str, object]:
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": sshd.port,
        "ansible_user": sshd.user,
        "ansible_ssh_private_key_file": str(sshd.key),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
