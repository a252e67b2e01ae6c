"""What goes inside works with what goes inside: Debian's bare Python, and nothing that happens to be installed here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import inside

HERE = "import sys; sys.path.insert(0, sys.argv[1]); import importlib; importlib.import_module(sys.argv[2])"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    subprocess.run([sys.executable, "-I", "-c", inside.UNPACK, folder], input=inside._code(folder), check=True)
    return folder


MODULES = ("build", "processes", "machines.build", "rack", "supervisor", "machines.host", "service", "ledger")


@pytest.mark.parametrize("module", [f"lab.{name}" for name in MODULES])
def test_it_imports_nothing_else(packed: Path, module: str) -> None:
    bare = str(Path(sys.executable).resolve())
    done = subprocess.run([bare, "-I", "-S", "-c", HERE, packed, module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
