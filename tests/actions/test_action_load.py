"""The registry of actions, and what all of them have in common."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hisauto.actions import load
from hisauto.errors import Refused
from hisauto.model.action import Action

from .peers import ACTIONS

DOCS = Path(__file__).parents[2] / "docs" / "actions.md"


def plugin(folder: Path, name: str, points: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hisauto.actions]\n{points}\n")


def test_ours() -> None:
    assert " ".join(sorted(ACTIONS)) == "command copy http module playbook power role script shell sql template"
    for name, action in ACTIONS.items():
        known: Action = action
        assert known.name == name
        assert known.scalar is None or known.scalar in {f.alias or n for n, f in known.fields.model_fields.items()}


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("sql = other.module:Sql", r"'sql': .*hisauto.actions.sql:Sql.*hisauto.* and other.module:Sql \(wicked 1.0\)|"
                                   r"'sql': other.module:Sql \(wicked 1.0\) and hisauto.actions.sql:Sql"),
        ("new = no.such.module:New", r"'new' of no.such.module:New \(wicked 1.0\) doesn't load: No module"),
        ("new = hisauto.actions.sql:Sql", r"'new' of .* calls itself 'sql'"),
    ],
)  # fmt: skip
def test_plugins_that_are_refused(points: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "wicked", points)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match=message):
        load()


def test_a_plugin_is_like_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "friendly", "beep = friendly:Beep")
    (tmp_path / "friendly.py").write_text(
        "from hisauto.actions.command import Command\nclass Beep(Command):\n    name = 'beep'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert set(load()) == {*ACTIONS, "beep"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import hisauto.actions", {"pydantic", "yaml", "ansible", "hisauto.actions.sql"}),
        ("import hisauto.actions; hisauto.actions.load()", {"ansible"}),
    ],
)
def test_nothing_is_loaded_before_it_is_used(code: str, absent: set[str]) -> None:
    code = f"import json, sys; {code}; print(json.dumps(sorted(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert not absent & set(json.loads(seen))


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_the_documentation_is_complete(name: str) -> None:
    """Every field and every returned name has its row in the action's tables, and no row is of anything else."""
    section = re.search(rf"^## `{name}`\n(.*?)(?=^## |\Z)", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert section, f"docs/actions.md has no section on {name}"
    tables = re.findall(r"^\| (field|returns) .*\n\|[-| ]+\n((?:\|.*\n)+)", section[1], re.MULTILINE)
    rows = {kind: re.findall(r"^\| `(\w+)`", body, re.MULTILINE) for kind, body in tables}
    action = ACTIONS[name]
    assert rows["field"] == [field.alias or key for key, field in action.fields.model_fields.items()]
    assert rows["returns"] == list(action.returns)
    assert f"`{action.default_expect}`" in section[1]
