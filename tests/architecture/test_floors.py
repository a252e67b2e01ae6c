"""The house of ``docs/architecture.md``: imports run down only, and neighbours don't know each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest

from .modules import ROOT, Module, modules, parse

FLOORS: dict[str, int] = {
    "cli": 6,
    "__main__": 6,
    "app": 5,
    "checks": 5,
    "answers": 5,
    "reach": 5,
    "reviews": 5,
    "entered": 5,
    "publishing": 5,
    "archiving": 5,
    "testing": 5,
    "engine": 4,
    "actions": 4,
    "transports": 4,
    "store": 4,
    "publish": 4,
    "plan": 3,
    "runbook": 2,
    "site": 2,
    "approval": 2,
    "audit": 2,
    "model": 1,
    "errors": 0,
    "clock": 0,
    "redact": 0,
}
OPEN = {5, 6}
"""Floors whose parts may use each other: the application's own modules, and the way in to the command line."""
LAB_MAY = {"hisauto.errors"}


def part(name: str) -> str:
    """The room of a module: ``hisauto.engine.drive`` → ``engine``."""
    return name.split(".")[1] if "." in name else ""


def misplaced(found: Iterable[Module]) -> Iterator[str]:
    """Every import of ``hisauto`` that runs up, or across to a neighbour."""
    for module in found:
        here = part(module.name)
        for target, line in sorted(module.imports):
            there = part(target)
            if not target.startswith("hisauto.") or there == here or module.name.split(".")[0] != "hisauto":
                continue
            if here == "":
                yield f"{module.path}:{line}: the package itself imports {target}"
            elif there not in FLOORS or here not in FLOORS:
                yield f"{module.path}:{line}: {there if here in FLOORS else here} has no floor"
            elif FLOORS[there] > FLOORS[here]:
                yield f"{module.path}:{line}: {here} (floor {FLOORS[here]}) imports {target} (floor {FLOORS[there]})"
            elif FLOORS[there] == FLOORS[here] and FLOORS[here] not in OPEN:
                yield f"{module.path}:{line}: {here} imports its neighbour {target}"


def test_imports_run_down_only() -> None:
    assert list(misplaced(modules())) == []


def test_every_part_has_a_floor() -> None:
    parts = {part(m.name) for m in modules() if m.name.startswith("hisauto.")}
    assert parts - FLOORS.keys() == set()


@pytest.mark.parametrize(
    ("name", "source", "word"),
    [
        ("hisauto.model.run", "from hisauto.store.store import Store", "floor 4"),
        ("hisauto.engine.drive", "import hisauto.store.store", "neighbour"),
        ("hisauto.engine.drive", "from ..store import store", "neighbour"),
        ("hisauto.audit.entry", "if TYPE_CHECKING:\n    from hisauto.approval.card import Card", "neighbour"),
        ("hisauto.plan.plan", "def f():\n    from hisauto.app import App", "floor 5"),
        ("hisauto.plan.plan", "import hisauto.novelty", "no floor"),
        ("hisauto.clock", "import hisauto.errors", "neighbour"),
        ("hisauto", "import hisauto.app", "package itself"),
    ],
)
def test_the_rule_finds_what_it_forbids(name: str, source: str, word: str) -> None:
    (said,) = misplaced([parse(name, source)])
    assert word in said


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("hisauto.cli.root", "from hisauto.app import App"),
        ("hisauto.checks", "from hisauto.app import App"),
        ("hisauto.engine.drive", "from hisauto.engine.gates import Gates\nfrom hisauto.clock import Clock"),
    ],
)
def test_the_rule_permits_the_way_down(name: str, source: str) -> None:
    assert list(misplaced([parse(name, source)])) == []


def test_the_page_shows_the_same_house() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\d) \| (.+?) \|", page, re.MULTILINE)
    shown = {name.removesuffix(".py"): int(n) for n, cell in rows for name in re.findall(r"`([\w.]+)/?`", cell)}
    there = {part(m.name) for m in modules() if m.name.startswith("hisauto.")} - {"__main__"}
    assert shown == {name: FLOORS[name] for name in there}


def test_the_lab_stands_apart() -> None:
    reached = {t for m in modules() if m.name.split(".")[0] == "lab" for t, _ in m.imports if t.startswith("hisauto")}
    assert reached <= LAB_MAY


def test_only_the_command_line_knows_the_lab() -> None:
    ours = [m for m in modules() if m.name.startswith("hisauto")]
    knows = {part(m.name) for m in ours for t, _ in m.imports if t.split(".")[0] == "lab"}
    assert knows <= {"cli"}


def test_what_runs_in_a_hospital_does_not_know_the_fake_world() -> None:
    knows = {m.name for m in modules() for t, _ in m.imports if t.startswith("hisauto.testing")}
    assert {name for name in knows if not name.startswith("hisauto.testing")} == {"hisauto.cli.rehearsing"}


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("paramiko", {"hisauto.transports"}),
        ("ansible", {"hisauto.actions.callbacks", "hisauto.site"}),
        ("alembic", {"hisauto.store"}),
        ("click", {"hisauto.cli"}),
        ("rich", {"hisauto.cli", "lab.demo"}),
    ],
)
def test_a_library_is_known_in_one_place(library: str, allowed: set[str]) -> None:
    users = {m.name for m in modules() for t, _ in m.imports if t.split(".")[0] == library}
    strangers = {u for u in users if not any(u == a or u.startswith(f"{a}.") for a in allowed)}
    assert users, f"nothing uses {library} any more: take it out here and in pyproject.toml"
    assert strangers == set()


WORLDLY = {
    "http", "os", "pathlib", "random", "shutil", "socket", "sqlalchemy", "sqlite3", "subprocess", "tempfile", "urllib",
}  # fmt: skip


@pytest.mark.parametrize("package", ["approval", "audit"])
def test_the_rules_are_pure(package: str) -> None:
    """No I/O where it is said who may say yes and what is proven. Signing alone asks ssh-keygen."""
    found = []
    for module in modules():
        if part(module.name) != package or module.name == "hisauto.approval.signing":
            continue
        found += [f"{module.path}:{line}: {t}" for t, line in module.imports if t.split(".")[0] in WORLDLY]
    assert found == []
