"""How one gets onto a host without hisauto."""

from __future__ import annotations

from typing import Any

import pytest

from hisauto.plan.byhand import login

HOSTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "full": {
        "ansible_host": "10.0.0.1", "ansible_port": 2222, "ansible_user": "ops", "hisauto_known_hosts": "/k/hosts",
        "ansible_ssh_private_key_file": "/k/id",
    },
    "common": {"hisauto_known_hosts": "/k/hosts", "ansible_ssh_common_args": "-o UserKnownHostsFile=/other"},
    "outer": {"ansible_host": "10.0.0.9", "ansible_port": 2200, "ansible_user": "jump"},
    "inner": {"hisauto_jump": "outer"},
    "far": {"hisauto_jump": "inner"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("host", "whole", "typed"),
    [
        ("plain", True, "ssh plain"),
        ("full", False, "ssh -p 2222 ops@10.0.0.1"),
        ("full", True, "ssh -p 2222 -i /k/id -o UserKnownHostsFile=/k/hosts ops@10.0.0.1"),
        ("common", True, "ssh -o UserKnownHostsFile=/other common"),
        ("inner", False, "ssh -J jump@10.0.0.9:2200 inner"),
        ("far", False, "ssh -J jump@10.0.0.9:2200,inner far"),
    ],
)
def test_how_one_logs_in(host: str, whole: bool, typed: str) -> None:
    assert login(host, HOSTS, whole=whole) == typed
