"""A value out of an Ansible vault, decrypted by ``ansible-vault`` itself: in a process, through pipes only."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hisauto.errors import HisautoError, NotFound, Refused, Unreachable
from hisauto.site.ansible import environment, program

HEADER = b"$ANSIBLE_VAULT;"
PATIENCE = 60.0
"""Seconds; a password file may be a script that asks another system."""


class _Encrypted(str):
    """A value that was written behind ``!vault``."""


class _Loader(yaml.BaseLoader):
    """Every scalar is the text that was written."""


def _encrypted(loader: _Loader, node: yaml.Node) -> _Encrypted:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "!vault is for text", node.start_mark)
    return _Encrypted(node.value)


_Loader.add_constructor("!vault", _encrypted)


def read_vault(file: Path, key: str, password_file: Path, root: Path) -> str:
    """The text at ``key`` (``a.b``: b in the mapping a). Raises ``HisautoError``; what is in the file is not quoted."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotFound(f"the vault {file} can't be read: {error.strerror}") from None
    whole = data.startswith(HEADER)
    if whole:
        data = _decrypt(data, file, password_file, root)
    try:
        # A loader without a way to make objects: all it builds is text, lists and mappings.
        value: Any = yaml.load(data, Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError):
        raise Refused(f"the vault {file} is not YAML") from None
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, _Encrypted):
        return _decrypt(value.encode(), file, password_file, root).decode(errors="replace")
    if not isinstance(value, str) or not value:
        raise NotFound(f"the vault {file} has no text under '{key}'")
    if not whole:
        raise Refused(f"'{key}' in {file} is not encrypted")
    return value


def _decrypt(data: bytes, file: Path, password_file: Path, root: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="hisauto-") as private:
        argv = [program("ansible-vault"), "decrypt", "--vault-password-file", str(password_file)]
        env = {n: v for n, v in environment(root, Path(private)).items() if not n.startswith("ANSIBLE_VAULT_")}
        try:
            done = subprocess.run(
                argv, input=data, capture_output=True, env=env, cwd=root, timeout=PATIENCE, check=False,
                start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Unreachable(f"ansible-vault did not decrypt {file} within {PATIENCE:g} s") from None
        except OSError as error:
            raise HisautoError(f"ansible-vault can't be started: {os.strerror(error.errno or 0)}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise Refused(f"ansible-vault can't decrypt {file}: {lines[-1] if lines else f'exit {done.returncode}'}")
    return done.stdout
