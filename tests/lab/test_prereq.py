"""What a machine lacks is named before anything is begun."""

from __future__ import annotations

import os
import pwd

import pytest

from lab import prereq
from lab.errors import LabError


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None if "haproxy" in program else program)
    assert "haproxy" in prereq.missing()
    with pytest.raises(LabError, match="haproxy") as caught:
        prereq.check()
    assert "apt-get install -y haproxy" in str(caught.value.hint)


def test_missing_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: iter(()))
    assert "postgresql" in prereq.missing()


def test_best_says_what_it_leaves_out() -> None:
    best = prereq.best()
    assert best.kind == "processes"
    assert all(what and why for what, why in best.skipped)


def test_root_becomes_a_named_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("HISAUTO_LAB_USER", "no-such-user")
    with pytest.raises(LabError, match="no-such-user"):
        prereq.lab_user()
    monkeypatch.setenv("HISAUTO_LAB_USER", "root")
    with pytest.raises(LabError, match="root"):
        prereq.lab_user()
    monkeypatch.setenv("HISAUTO_LAB_USER", "daemon")
    assert prereq.lab_user() == pwd.getpwnam("daemon")
    monkeypatch.setattr(prereq, "missing", list)
    with pytest.raises(LabError, match="no login shell"):
        prereq.check()


def test_a_user_id_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(LabError, match="54321"):
        prereq.lab_user()
