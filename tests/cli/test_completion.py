"""Completion as a person has it: real shells on a terminal, and what they are answered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from hisauto.cli.completing import VARIABLE
from tests.cli.conftest import TestSite

BIN = Path(sys.executable).parent
PARAMS = """\
runbook: loss
version: 1.0.0
title: Parameters of every kind
kind: routine
owner: dba
params:
  accept: {type: choice, of: [none, unknown], help: what may be lost}
  at: {type: host}
  hard: {type: flag}
  why: {}
steps:
  - {name: Look, command: uptime, changes: no}
"""


@pytest.fixture
def words(site: TestSite) -> TestSite:
    (site.root / "runbooks" / "loss.yml").write_text(PARAMS)
    return site


def offered(site: TestSite, line: str) -> list[str]:
    """What bash is told for a line, typed in the site's folder."""
    env = {**os.environ, VARIABLE: "bash_complete", "COMP_WORDS": line}
    argv = [sys.executable, "-c", "from hisauto.cli import main; main()"]
    done = subprocess.run(argv, env=env, cwd=site.root, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return [item.partition(",")[2] for item in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "there", "not_there"),
    [
        ("hisauto pl", ["plan"], ["run"]),
        ("hisauto plan ", ["hello", "loss", "sleeps"], ["--site"]),
        ("hisauto plan --", ["--diff", "--param", "--site"], []),
        ("hisauto runs l", ["loss"], ["hello"]),
        ("hisauto run loss -p ", ["accept=none", "accept=unknown", "hard=true", "at=", "why="], ["at=h1"]),
        ("hisauto run loss -p accept=u", ["accept=unknown"], ["accept=none"]),
        ("hisauto run loss -p accept=none -p ", ["hard=true", "why="], ["accept=none"]),
        ("hisauto run loss -p at=", ["at=h1"], []),
        ("hisauto hosts 'all:!h", ["all:!h1"], ["all:!all"]),
        ("hisauto --as ", ["op-1", "dba-1"], []),
        ("hisauto approve --as d", ["dba-1", "duty-1"], ["op-1"]),
        ("hisauto check --explain HA15", ["HA150", "HA152"], ["HA104"]),
        ("hisauto audit ", ["verify"], ["plan"]),
        ("hisauto completion ", ["bash", "zsh", "fish"], []),
        ("hisauto no-such-command x", [], ["hello"]),
        ("hisauto run no-such-runbook -p ", [], ["accept=none"]),
    ],
)
def test_what_is_offered(words: TestSite, line: str, there: list[str], not_there: list[str]) -> None:
    found = offered(words, line)
    assert set(there) <= set(found) and not set(not_there) & set(found), found


def test_a_broken_site_completes_nothing_and_says_nothing(words: TestSite) -> None:
    (words.root / "hisauto.yml").write_text("[")
    assert offered(words, "hisauto plan ") == []
    assert offered(words, "hisauto pl") == ["plan"]


def test_asking_for_runs_makes_no_database(words: TestSite) -> None:
    assert offered(words, "hisauto show ") == []
    assert not list(words.root.rglob("*.db"))


def test_runs_and_the_step_that_one_asks_about(words: TestSite) -> None:
    run = words.started("fails", f"flag={words.root}/flag")
    step = words.waiting(run, "ask")["question"]["step"]
    assert offered(words, "hisauto show ") == offered(words, "hisauto plan fails --diff ") == [run]
    assert offered(words, f"hisauto decide {run} ") == [step]
    assert words.invoke("decide", run, step, "stop", "--reason", "enough", "--yes", who="dba-1").exit_code == 0


# ---------------------------------------------------------------- real shells
START = {
    "bash": ["bash", "--noprofile", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": "bind 'set bell-style none'; source <(hisauto completion bash)",
    "zsh": "autoload -Uz compinit; compinit -D -u; source <(hisauto completion zsh)",
    "fish": "hisauto completion fish | source",
}
TAKEN = "import json, sys; print('TAKEN' + ' ' + json.dumps(sys.argv[1:]))"


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, words: TestSite) -> Iterator[pexpect.spawn[str]]:
    """An interactive shell in the site's folder. Its `hisauto` is the real one while it completes, and else says what
    arguments it was given."""
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    folder = words.root.parent / "bin"
    folder.mkdir()
    wrapper = folder / "hisauto"
    wrapper.write_text(
        f'#!/bin/sh\nif [ -n "${VARIABLE}" ] || [ "$1" = completion ]; then exec {BIN}/hisauto "$@"; fi\n'
        f'exec {sys.executable} -c "{TAKEN}" "$@"\n'
    )
    wrapper.chmod(0o755)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(words.root.parent), "TERM": "dumb"}
    child = pexpect.spawn(START[name][0], START[name][1:], cwd=str(words.root), env=env, encoding="utf-8", timeout=40)
    child.sendline(f"{SETUP[name]}; echo re''ady")
    child.expect("ready\r?\n")
    yield child
    child.close(force=True)


def typed(shell: pexpect.spawn[str], line: str) -> list[str]:
    """Type a line with its tabs, and press enter: the arguments that the command got."""
    shell.send(line)
    shell.sendline("")
    shell.expect("TAKEN (\\[.*?\\])\r?\n")
    assert shell.match is not None
    given: list[str] = json.loads(shell.match[1])
    return given


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("hisauto pl\t", ["plan"]),
        ("hisauto plan lo\t", ["plan", "loss"]),
        ("hisauto run loss -p accept=u\t", ["run", "loss", "-p", "accept=unknown"]),
        ("hisauto run loss -p ha\tf\t", ["run", "loss", "-p", "hard=false"]),
        ("hisauto --as op\truns hel\t", ["--as", "op-1", "runs", "hello"]),
    ],
)
def test_a_real_shell_completes(shell: pexpect.spawn[str], line: str, arguments: list[str]) -> None:
    assert typed(shell, line) == arguments
