"""What the README shows is so: its runbook, its commands with their options, its links; and all pages' links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from hisauto.cli.root import cli
from tests.runbook.reading import check_text

from .modules import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line, comments=True) for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_first_runbook_is_without_a_mistake() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml"]
    assert text.count("\n") == 10
    there = {"groups": frozenset({"all", "app"}), "hosts": frozenset({"app1", "app2"})}
    runbook, problems = check_text(text.encode(), "registration-restart.yml", **there)
    assert problems == []
    assert runbook is not None
    assert f"runbooks/{runbook.runbook}.yml" in README


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the files are that the commands name: options look whether theirs is there."""
    for name in {w for words in COMMANDS for w in words if "/" in w or w.endswith(".jsonl")}:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", [c for c in COMMANDS if c and c[0] == "hisauto"], ids=" ".join)
def test_a_command_takes_what_is_shown(words: list[str]) -> None:
    """Parsed as the command line would, with the options and arguments of each; nothing is run."""
    command: click.Command = cli
    context = command.make_context("hisauto", words[1:])
    while isinstance(command, click.Group):
        left = [*getattr(context, "_protected_args", ()), *context.args]  # click before 9 keeps the first word apart
        name, found, rest = command.resolve_command(context, left)
        assert found is not None
        command = found
        context = command.make_context(name, rest, parent=context)


def test_an_option_that_is_not_there_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        test_a_command_takes_what_is_shown(["hisauto", "run", "x", "--no-such-option"])


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"`?make ([a-z-]+)", README))
    assert {"demo", "test"} <= shown <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    assert [link for link in links if link and "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_is_in_the_readme() -> None:
    assert {p.name for p in PAGES[1:]} <= set(re.findall(r"\(docs/([\w-]+\.md)\)", README))
