"""``ansible-inventory``, asked: the only reader of the inventory's files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hisauto.errors import HisautoError, Unreachable, UsageError
from hisauto.model.problems import Problem, invalid

CONFIG = "ansible.cfg"
_ORIGIN = re.compile(r"^Origin: (/.+?)(?::(\d+):(\d+))?$", re.M)
_QUOTED = re.compile(r"'(/[^']+)'")
_SOURCE = re.compile(r"Completely failed to parse inventory source (/.+)")
_WARNING = re.compile(r"^\[WARNING\]: (.+)$", re.M)
_ERROR = re.compile(r"^\[?ERROR\]?(?:!|:) *(.+)$", re.M)


def list_inventory(root: Path, sources: Sequence[Path], timeout: float) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``ansible-inventory --list`` over ``sources``, with the site's ``ansible.cfg`` and no other; and its warnings.

    Raises ``Invalid`` with the place if Ansible says one, ``Unreachable`` after ``timeout`` seconds.
    """
    argv = [program("ansible-inventory"), "--list"]
    for source in sources:
        if "," in str(source):
            raise UsageError(f"Ansible takes the inventory path {source} for a list of hosts, because of its comma")
        argv += ["-i", str(source)]
    with tempfile.TemporaryDirectory(prefix="hisauto-") as private:
        code, out, err = _run(argv, root, environment(root, Path(private)), timeout)
    if code != 0:
        raise invalid(_mistakes(err, root, sources))
    try:
        listed: dict[str, Any] = json.loads(out)
    except ValueError:
        raise HisautoError("ansible-inventory did not answer in JSON", hint=err.strip()[:300] or None) from None
    return listed, tuple(_WARNING.findall(err))


def program(name: str) -> str:
    """The path of one of Ansible's programs. Raises ``HisautoError``."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise HisautoError(f"{name} is not installed", hint="install ansible-core beside hisauto")
    return found


def environment(root: Path, private: Path) -> dict[str, str]:
    """What Ansible's programs see: the site's ``ansible.cfg``, and no other; ``private`` is a folder of their own."""
    # A user's ~/.ansible.cfg or ANSIBLE_… must not change what the site's files mean; where the vault's password is
    # is the one thing that only the environment knows.
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ANSIBLE_") or name.startswith("ANSIBLE_VAULT_")
    }
    config = root / CONFIG
    if not config.exists():
        config = private / CONFIG
        config.touch()
    return env | {
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_LOCAL_TEMP": str(private),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "LC_ALL": "C.UTF-8",
    }


def _run(argv: Sequence[str], cwd: Path, env: dict[str, str], timeout: float) -> tuple[int, str, str]:
    process = subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Unreachable(
            f"Ansible did not read the inventory within {timeout:g} s",
            hint="a dynamic source may be waiting for another system; see timeouts.inventory",
        ) from None
    finally:
        # Also after a Ctrl-C: an inventory script's children must not outlive us.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def _mistakes(said: str, root: Path, sources: Sequence[Path]) -> list[Problem]:
    """Ansible's words as a problem, at the best place that can be had."""
    errors = _ERROR.findall(said)
    message = errors[-1] if errors else (said.strip().splitlines() or ["it says nothing"])[-1]
    if source := _SOURCE.search(said):
        name = source[1]
        plugin = (
            "yaml" if name.endswith((".yml", ".yaml", ".json")) else "script" if os.access(name, os.X_OK) else "ini"
        )
        told = re.search(rf"Failed to parse inventory with '{plugin}' plugin: (.+)", said)
        message = told[1] if told else "it can't be read as an inventory" if Path(name).exists() else "it isn't there"
        origin = next((m for m in _ORIGIN.finditer(said) if m[1] == name and m[2]), None)
        place = (int(origin[2]), int(origin[3])) if origin else (0, 0)
        return [_problem(root, Path(name), place, message)]
    if quoted := _QUOTED.search(message):
        return [_problem(root, Path(quoted[1]), (0, 0), message)]
    # Of a broken file under group_vars or host_vars Ansible says neither name nor line.
    return list(_broken_yaml(root, sources)) or [Problem("inventory", 0, 0, "HA210", f"Ansible says: {message}")]


def _broken_yaml(root: Path, sources: Sequence[Path]) -> list[Problem]:
    problems = []
    for file in (
        file for source in sources for file in sorted((source if source.is_dir() else source.parent).rglob("*"))
    ):
        if file.suffix not in (".yml", ".yaml") or not file.is_file():
            continue
        try:
            for _ in yaml.parse(file.read_bytes()):
                pass
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            problems.append(_problem(root, file, place, f"not YAML: {error.problem}"))
        except (OSError, yaml.YAMLError) as error:
            problems.append(_problem(root, file, (0, 0), str(error).splitlines()[0]))
    return problems


def _problem(root: Path, file: Path, place: tuple[int, int], message: str) -> Problem:
    # The line itself is not shown: inventories hold passwords.
    shown = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
    return Problem(shown, *place, "HA210", message)
