"""Bad input and bad luck, each with its line and its exit code."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hisauto.cli.root import cli
from tests.cli.conftest import TestSite

Case = tuple[str, str | None, list[str], int, str, str]
NEAR = "did you mean 'hello'?"
CASES: list[Case] = [
    ("unknown runbook", "op-1", ["run", "helo"], 2, "there is no runbook 'helo'", NEAR),
    ("unknown runbook, before the key", None, ["run", "helo"], 2, "there is no runbook 'helo'", NEAR),
    ("unknown runbook in a plan", None, ["plan", "helo"], 2, "there is no runbook 'helo'", NEAR),
    ("missing parameter", "op-1", ["run", "hello", "-y"], 2, "needs the parameter 'folder'", "-p folder="),
    ("unknown parameter", None, ["plan", "hello", "-p", "foldr=x"], 2, "no parameter 'foldr'", "'folder'?"),
    ("a guard says no", "op-1", ["run", "hello", "-p", "folder=/nope", "-y"], 3, "nothing was started", "hisauto plan"),
    ("nobody can be asked", "op-1", ["run", "hello", "-p", "folder=/tmp"], 2, "nobody can be asked here", "--yes"),
    ("may not run", "dba-1", ["run", "hello", "-p", "folder=/tmp", "-y"], 3, "dba-1 may not run", "may:"),
    ("no key at hand", None, ["run", "hello", "-p", "folder=/tmp"], 2, "none of the keys at hand", "--as PERSON"),
    ("level without incident", "op-1", ["run", "hello", "--level", "1"], 2, "an incident has a level", "--incident"),
    ("reported to come", "op-1", ["run", "hello", "--reported", "2999-01-01T00:00:00Z"], 2, "to come", "that was"),
    ("reported nonsense", "op-1", ["run", "hello", "--reported", "25:00"], 2, "is no time of day", "02:51"),
    ("reported no time", "op-1", ["run", "hello", "--reported", "soon"], 2, "'soon' is no time", "02:51"),
    ("unknown run", None, ["show", "r-nope"], 2, "there is no run r-nope", "hisauto runs"),
    ("no run waits", "dba-1", ["approve"], 2, "no run waits for an answer", "hisauto runs"),
    ("no run is open", None, ["watch", "-"], 2, "no run is open", "hisauto runs"),
    ("glass without a reason", "dba-1", ["approve", "--break-glass"], 2, "says why", "--reason"),
    ("unknown host", None, ["hosts", "h2"], 2, "no host or group is called 'h2'", "h1"),
    ("unknown check path", None, ["check", "nope.yml"], 2, "there is no file nope.yml", ""),
    ("damaged key", None, ["audit", "verify", "--key", "x+00000000+AAAA"], 1, "not an Ed25519 verifier key", "name+"),
    ("missing key file", None, ["audit", "verify", "--key", "nope.pub"], 2, "can't be read", "node.pub"),
    ("export to nowhere", None, ["audit", "export", "/nope/x"], 1, "/nope/x can't be written", ""),
]  # fmt: skip


@pytest.mark.parametrize(("who", "argv", "code", "said", "hint"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bad_input(site: TestSite, who: str | None, argv: list[str], code: int, said: str, hint: str) -> None:
    result = site.invoke(*argv, who=who)
    assert result.exit_code == code, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and said in errors[0]
    assert not hint or any(hint in line for line in result.stderr.splitlines() if line.startswith("hint: "))
    assert "Traceback" not in result.output


def test_another_persons_key(site: TestSite) -> None:
    result = site.invoke("--as", "op-1", "--key", str(site.keys / "dba-1"), "run", "hello", "-p", "folder=/tmp", "-y")
    assert result.exit_code == 2 and "none of your keys is registered for you" in result.stderr


def test_a_key_of_nobody(site: TestSite) -> None:
    result = site.invoke("--key", str(site.keys / "nobody"), "run", "hello", "-p", "folder=/tmp", "-y")
    assert result.exit_code == 2 and "none of the keys at hand belongs to anybody" in result.stderr


def test_an_unknown_person(site: TestSite) -> None:
    result = site.invoke("--as", "dba-9", "run", "hello", "-p", "folder=/tmp", "-y")
    assert result.exit_code == 2 and "nobody called 'dba-9'" in result.stderr


def test_a_labs_keys_speak_only_for_whom_is_named(site: TestSite) -> None:
    (site.root / ".hisauto").mkdir(mode=0o700, exist_ok=True)
    import json

    found = {"keys": {person: str(site.keys / person) for person in ("op-1", "dba-1")}}
    (site.root / ".hisauto" / "lab.json").write_text(json.dumps(found))
    result = site.invoke("run", "hello", "-p", "folder=/nope", "-y")
    assert result.exit_code == 2 and "who are you?" in result.stderr and "dba-1|op-1" in result.stderr
    named = site.invoke("--as", "op-1", "run", "hello", "-p", "folder=/nope", "-y")
    assert named.exit_code == 3  # the guard: the key was found


def test_no_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["runs"])
    assert result.exit_code == 2 and "no hisauto.yml" in result.stderr and "hint: " in result.stderr
    named = CliRunner().invoke(cli, ["--site", str(tmp_path), "runs"])
    assert named.exit_code == 2 and "no hisauto.yml" in named.stderr


def test_a_bad_site_is_shown_like_a_compiler(site: TestSite) -> None:
    (site.root / "hisauto.yml").write_text("site: {id: tiny}\ninventry: x\n")
    for argv in (["runs"], ["check"]):
        result = site.invoke(*argv)
        assert result.exit_code == 1
        said = result.stderr + result.stdout
        assert "hisauto.yml:2:1: error: there is no field 'inventry'" in said
        assert "did you mean 'inventory'?" in said and "^" in said


def test_a_place_for_checkpoints_that_is_no_host(site: TestSite) -> None:
    settings = json.loads((site.root / "hisauto.yml").read_text())
    settings["audit"] = {"publish": [{"host": "h2", "file": "/var/log/hisauto"}]}
    (site.root / "hisauto.yml").write_text(json.dumps(settings, indent=1))
    result = site.invoke("check")
    where = next(n for n, line in enumerate(json.dumps(settings, indent=1).splitlines(), 1) if '"h2"' in line)
    assert result.exit_code == 1
    assert f"hisauto.yml:{where}:13: error: the inventory has no host 'h2'" in result.stdout
    assert "hint: known: h1" in result.stdout and "[HA212]" in result.stdout, result.stdout


def test_tests_are_checked_with_their_runbook(site: TestSite) -> None:
    hello = site.root / "runbooks" / "hello.yml"
    hello.with_suffix(".tests.yml").write_text("tests: [{tset: It says hello}]\n")
    for argv in (["check"], ["check", str(hello)]):
        result = site.invoke(*argv)
        assert result.exit_code == 1 and "hello.tests.yml:1:" in result.stdout and "'tset'" in result.stdout


def test_options_before_and_behind_the_command(site: TestSite, tmp_path: Path) -> None:
    for argv in (["--site", str(site.root), "runs", "--json"], ["--json", "runs", "--site", str(site.root)]):
        result = CliRunner().invoke(cli, argv)
        assert (result.exit_code, result.stdout) == (0, "[]\n"), result.output
    both = CliRunner().invoke(cli, ["--site", str(tmp_path / "nope"), "runs", "--site", str(site.root), "--json"])
    assert both.exit_code == 0  # the one nearer to the command


def test_the_unexpected_goes_into_a_private_file(site: TestSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("inner words")

    monkeypatch.setattr("hisauto.store.store.Store.runs", breaks)
    result = site.invoke("runs")
    assert result.exit_code == 1
    assert "something unexpected happened: RuntimeError" in result.stderr and "Traceback" not in result.output
    (log,) = (site.root / ".hisauto").glob("crash-*.log")
    assert str(log) in result.stderr
    assert "inner words" in log.read_text() and stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_closed_pipe_is_no_error(site: TestSite) -> None:
    read, write = os.pipe()
    os.close(read)
    process = site.start("schema", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0 and err == ""


def test_an_ascii_terminal_breaks_nothing(site: TestSite) -> None:
    (site.root / "runbooks" / "zh.yml").write_text((site.root / "runbooks/hello.yml").read_text()
                                                   .replace("en: Say hello, ", "").replace("hello", "zh"))  # fmt: skip
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    argv = [sys.executable, "-m", "hisauto", "--site", str(site.root), "runbooks"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout and "??" in done.stdout  # the Chinese title can't be shown, and is seen to be missing
