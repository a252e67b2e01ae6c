"""What holds for every file."""

from __future__ import annotations

import ast
import re

from .modules import ROOT, files, modules

LINES = 400
SOURCES = (".py", ".sh", ".yml", ".md", ".toml", ".cfg", ".j2", ".txt", ".json", "")
OF_A_MACHINE = re.compile(r"(?<![\w}])/(?:work|home|root|Users)/")
PRINTERS = ("hisauto.cli", "lab", "hisauto.actions.ansible")
"""The command line, the lab's own, and the worker whose stdout is what the action reads."""


def test_no_file_is_longer_than_can_be_read() -> None:
    long = {}
    for path in files(".py", ".sh"):
        lines = path.read_text().count("\n")
        if lines > LINES:
            long[str(path.relative_to(ROOT))] = lines
    assert long == {}


def test_no_path_of_somebodys_machine() -> None:
    own = str(ROOT) if len(ROOT.parts) > 2 else None
    found = []
    for path in files(*SOURCES):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if OF_A_MACHINE.search(line) or (own is not None and own in line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_the_path_rule_finds_what_it_forbids() -> None:
    for bad in ("x = '{}home/me/x'", "cd {}work/main", "{}root/.ssh/id"):
        assert OF_A_MACHINE.search(bad.format("/"))
    for good in ("{top}/home/.pgpass", "$top/home/x", "spool/work/x", "/usr/bin/python3"):
        assert not OF_A_MACHINE.search(good)


def test_only_a_face_prints() -> None:
    found = []
    for module in modules():
        if any(module.name == p or module.name.startswith(f"{p}.") for p in PRINTERS):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(f"{module.path}:{node.lineno}")
    assert found == []
