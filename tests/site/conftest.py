from __future__ import annotations

from pathlib import Path

import pytest

HOSPITAL = """\
all:
  children:
    his_db: {hosts: {db2: , db1: }}
    db_proxy: {hosts: {lb1: }}
    registration: {children: {app: {hosts: {app1: , app2: , app10: }}}}
    empty: {}
  hosts: {lonely: }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small site: an inventory in Ansible's YAML, nothing else."""
    (tmp_path / "hisauto.yml").write_text("site: {id: small}\n")
    (tmp_path / "inventory" / "group_vars").mkdir(parents=True)
    (tmp_path / "inventory" / "hospital.yml").write_text(HOSPITAL)
    (tmp_path / "inventory" / "group_vars" / "his_db.yml").write_text("pg_port: 5432\n")
    return tmp_path
