"""Ansible's answer, remembered by the content of every file that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hisauto.errors import NotFound
from hisauto.site.ansible import CONFIG

_FORMAT = b"hisauto inventory 1\n"
_PLUGIN = re.compile(rb"^[\"']?plugin[\"']?\s*:", re.M)
_VARS = ("group_vars", "host_vars")


def key(root: Path, sources: Sequence[Path]) -> str | None:
    """SHA-256 (hex) of all files of the inventory, their names, and Ansible's version.

    None if files don't say everything: an executable, a plugin's configuration, an ``ansible.cfg`` that brings plugins.
    """
    from ansible.release import __version__

    seen = hashlib.sha256(_FORMAT + __version__.encode())
    # The last two: Ansible also loads variables that stand beside its working folder.
    for top in (*sources, *(source.parent / name for source in sources for name in _VARS if source.is_file()),
                root / CONFIG, *(root / name for name in _VARS)):  # fmt: skip
        for file in _files(top):
            try:
                content = file.read_bytes()
                executable = os.access(file, os.X_OK)
            except OSError as error:
                raise NotFound(f"{file} can't be read: {error.strerror or error}") from error
            if file == root / CONFIG:
                if b"plugin" in content:
                    return None
            elif not set(_VARS) & set(file.parts[len(top.parts) - 1 :]) and (executable or _PLUGIN.search(content)):
                return None
            name = os.fsencode(file)
            seen.update(b"%d %d\n%b%b" % (len(name), len(content), name, content))
    return seen.hexdigest()


def _files(top: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
    for folder, folders, files in os.walk(top, followlinks=True):
        folders.sort()
        for name in sorted(files):
            file = Path(folder, name)
            if file.is_file():
                yield file


def recall(folder: Path, key: str) -> dict[str, Any] | None:
    """What was remembered under ``key``; None if nothing, or nothing readable."""
    try:
        content = json.loads((folder / f"inventory-{key}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and {"groups", "hosts", "warnings"} <= content.keys() else None


def remember(folder: Path, key: str, content: dict[str, Any]) -> None:
    """Keep ``content`` under ``key``, 0600 since it holds what the vault kept; forget what was there before."""
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
        json.dump(content, file)
    Path(file.name).replace(folder / f"inventory-{key}.json")
    for old in folder.glob("inventory-*.json"):
        if old.name != f"inventory-{key}.json":
            old.unlink(missing_ok=True)
