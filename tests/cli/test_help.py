"""What the command line says of itself: cheaply, completely, and the same in docs/cli.md."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hisauto.cli.root import COMMANDS, cli

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
HEAVY = {"pydantic", "sqlalchemy", "paramiko", "jinja2", "rich", "yaml", "ansible", "cryptography", "asyncio"}


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            yield from walk(inner, (*path, name))


ALL = list(walk(cli))


@pytest.mark.parametrize("argv", [["--help"], [], ["-h"]])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    code = (
        "import sys\nfrom hisauto.cli import main\n"
        f"sys.argv = ['hisauto', *{argv!r}]\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "print('\\nMODULES', *sorted({m.partition('.')[0] for m in sys.modules}),"
        " *(m for m in sys.modules if m.startswith('hisauto')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, modules = done.stdout.partition("\nMODULES")
    assert "Commands:" in text and "audit" in text
    loaded = set(modules.split())
    assert not loaded & HEAVY
    ours = {name for name in loaded if name.startswith("hisauto.")}
    assert ours == {f"hisauto.cli{part}" for part in ("", ".root", ".lazy", ".options", ".language", ".helptext")}


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=lambda path: " ".join(path) or "hisauto")
def test_every_command_has_help_with_examples_and_exit_codes(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0, result.output
    assert "Examples:" in result.stdout
    command = dict(ALL)[path]
    if not isinstance(command, click.Group):
        assert "Exit codes:" in result.stdout
        assert "hisauto " + " ".join(path) in result.stdout or any(
            f" {path[-1]}" in x for x in result.stdout.split("\n")
        )


def test_the_short_help_is_of_the_command_that_is_there() -> None:
    assert list(COMMANDS) == [path[0] for path, _ in ALL if len(path) == 1]
    for path, command in ALL:
        if len(path) == 1:
            assert command.name == path[0]


@pytest.mark.parametrize("path", [path for path, _ in ALL if path], ids=" ".join)
def test_docs_have_every_command_and_option(path: tuple[str, ...]) -> None:
    name = " ".join(path)
    section = re.search(rf"^#+ `hisauto {re.escape(name)}[ `][^\n]*\n(.*?)(?=^#|\Z)", DOCS, re.M | re.S)
    if section is None and len(path) > 1:
        section = re.search(rf"^#+ `hisauto {path[0]}[ `][^\n]*\n(.*?)(?=^#|\Z)", DOCS, re.M | re.S)
    assert section is not None, f"docs/cli.md has no section of hisauto {name}"
    whole = section[0]
    assert f"hisauto {name}" in whole or f"`{path[-1]}" in whole
    common = {"--site", "--lang", "--json", "--no-color", "--as", "--key", "--help"}
    for param in dict(ALL)[path].params:
        for option in [o for o in param.opts if o.startswith("--") and (o not in common or name == "audit verify")]:
            assert option in (DOCS if option in common - {"--key"} else whole), f"{name} {option}"


def test_docs_have_every_exit_code() -> None:
    from hisauto.cli.failure import STOPPED
    from hisauto.cli.words import EXITS, GOES_ON

    for code in (0, 1, 2, 3, 4, 5, GOES_ON, STOPPED, *EXITS.values()):
        assert re.search(rf"^\| {code} \|", DOCS, re.M), code
    for state, code in EXITS.items():
        assert re.search(rf"^\| {code} \|.*`{state}`", DOCS, re.M), state
        assert code == 0 or str(code) in CliRunner().invoke(cli, ["--help"]).stdout


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["audit", "verfy"], "No such command"),
        (["run"], "Missing argument 'RUNBOOK'"),
        (["audit"], "Missing command"),
        (["runs", "--nope"], "No such option"),
        (["run", "x", "-p", "novalue"], "expected NAME=VALUE"),
        (["run", "x", "-p", "a=1", "-p", "a=2"], "given twice"),
        (["decide", "r", "s", "maybe"], "maybe"),
        (["lab", "break", "fire", "db1"], "fire"),
        (["reject", "r"], "--reason"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(argv: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, argv, prog_name="hisauto")
    assert result.exit_code == 2
    lines = result.stderr.strip().splitlines()
    assert lines[0].startswith("error: ") and said in result.stderr
    assert lines[-1].startswith("hint: hisauto") and lines[-1].endswith("--help")
    assert not result.stdout
