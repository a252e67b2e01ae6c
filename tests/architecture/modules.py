"""The project's modules as their source has them: what each imports, TYPE_CHECKING included, without importing any."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("hisauto", "lab")
GENERATED = {".venv", ".git", ".hisauto", ".hypothesis", "__pycache__", "build", "host_vars"}


@dataclass(frozen=True)
class Module:
    """One source file of ``hisauto`` or ``lab``."""

    name: str
    """Dotted; a package's ``__init__`` is the package."""
    path: str
    """Relative to the project."""
    tree: ast.Module
    imports: frozenset[tuple[str, int]]
    """Dotted names, as far as they are modules, and the line."""


@cache
def modules() -> tuple[Module, ...]:
    return tuple(_read(path) for package in OURS for path in sorted((ROOT / package).rglob("*.py")))


def parse(name: str, source: str, *, path: str = "", known: frozenset[str] = frozenset()) -> Module:
    """A module from its text. ``known``: module names, to tell ``from package import module`` from a name in it."""
    tree = ast.parse(source)
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    return Module(name, path, tree, frozenset(_imports(tree, package, known)))


def files(*suffixes: str) -> Iterator[Path]:
    """What is kept in the project, not what is made on the way."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in GENERATED and not f.endswith(("_cache", ".egg-info")))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in suffixes and path.is_file():
                yield path


def _read(path: Path) -> Module:
    relative = path.relative_to(ROOT)
    return parse(_name(relative), path.read_text(), path=str(relative), known=_known())


@cache
def _known() -> frozenset[str]:
    return frozenset(_name(p.relative_to(ROOT)) for package in OURS for p in (ROOT / package).rglob("*.py"))


def _name(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, package: str, known: frozenset[str]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if inner in known else base), node.lineno
