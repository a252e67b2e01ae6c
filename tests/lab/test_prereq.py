"""What a machine lacks is named before anything is begun."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

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


def test_best_says_what_it_leaves_out_and_what_it_lacks() -> None:
    best = prereq.best()
    assert (best.kind == "machines") == (best.lacking == ())
    assert best.skipped == prereq.LEFT_OUT[best.kind]
    assert all(what and why for what, why in best.skipped)


def test_without_root_there_are_no_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(prereq, "missing", lambda _: [])
    assert prereq.best() == prereq.Best("processes", prereq.LEFT_OUT["processes"], ("it takes root",))
    with pytest.raises(LabError, match="takes root") as caught:
        prereq.check("machines")
    assert "--kind processes" in str(caught.value.hint)


def test_machines_that_are_impossible_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    absent = ("mmdebstrap", "systemd-nspawn")
    monkeypatch.setattr("shutil.which", lambda program: None if program in absent else program)
    with pytest.raises(LabError, match="mmdebstrap, systemd-container") as caught:
        prereq.check("machines")
    assert "apt-get install -y mmdebstrap systemd-container" in str(caught.value.hint)
    monkeypatch.setattr("shutil.which", lambda program: program)
    monkeypatch.setattr("lab.machines.cgroups.ROOT", Path("/nonexistent"))
    with pytest.raises(LabError, match="no control groups systemd, memory, pids, unified in /nonexistent"):
        prereq.check("machines")


def test_a_kind_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISAUTO_LAB", "clouds")
    with pytest.raises(LabError, match="'clouds', and has to be one of: processes, machines"):
        prereq.demanded()


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
    monkeypatch.setattr(prereq, "missing", lambda _: [])
    with pytest.raises(LabError, match="no login shell"):
        prereq.check()


def test_a_user_id_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(LabError, match="54321"):
        prereq.lab_user()
