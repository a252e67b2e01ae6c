"""The files that a plan pins: the site's roles, and what stands beside the runbook. What was approved is what runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import rfc8785
import yaml
from pydantic import BaseModel

from hisauto.errors import Invalid, NotFound
from hisauto.model.action import Action, Needs
from hisauto.plan.places import beside
from hisauto.runbook.calls import unrendered
from hisauto.runbook.documents import Call, Runbook

ROLE_TASKS = frozenset(f"{prefix}{how}_role" for prefix in ("", "ansible.builtin.") for how in ("import", "include"))


@dataclass(frozen=True)
class Sources:
    """Where pinned files come from."""

    beside: Path
    """The runbook's folder."""
    roles: Sequence[Path]
    """The site's folders of roles."""

    def pin(self, action: Action, fields: BaseModel) -> dict[str, bytes]:
        """Everything an action needs, by its name below ``Place.files``: ``roles/NAME/…``, ``beside/PATH``.

        Raises ``NotFound`` for what isn't there, ``Invalid`` for what leads out of the folder or can't work.
        """
        needs = action.needs(fields)
        files = self._files(needs)
        files |= self._roles([*needs.roles, *_named_roles(files)], files)
        action.vet(fields, files)
        return files

    def _files(self, needs: Needs) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for name in needs.files:
            path = self.beside / name
            self._inside(path, name)
            if not path.exists():
                here = [p.relative_to(self.beside).as_posix() for p in sorted(path.parent.glob("*")) if p.is_file()]
                near = get_close_matches(name, here, 1)
                raise NotFound(
                    f"there is no file '{name}' beside the runbook",
                    hint=f"did you mean '{near[0]}'?" if near else f"its path starts in the runbook's folder: {path}",
                )
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                shown = file.relative_to(self.beside).as_posix()
                self._inside(file, shown)
                if file.is_file() and "__pycache__" not in file.parts:
                    found[f"beside/{shown}"] = _content(file, shown)
        return found

    def _inside(self, path: Path, shown: str) -> None:
        if not path.resolve().is_relative_to(self.beside.resolve()):
            raise Invalid(
                f"'{shown}' is a link that leads out of the runbook's folder",
                hint="put the file itself beside the runbook",
            )

    def _roles(self, wanted: list[str], beside: Mapping[str, bytes]) -> dict[str, bytes]:
        """The content of roles, dependencies included. Those that stand beside a playbook are there already."""
        files: dict[str, bytes] = {}
        done = {name.split("/roles/", 1)[1].split("/", 1)[0] for name in beside if "/roles/" in name}
        while wanted:
            name = wanted.pop()
            if name in done:
                continue
            done.add(name)
            role = self._role(name)
            files |= role
            wanted += [*_dependencies(role.get(f"roles/{name}/meta/main.yml", b"")), *_named_roles(role)]
        return files

    def _role(self, name: str) -> dict[str, bytes]:
        folder = next((p / name for p in self.roles if (p / name).is_dir()), None)
        if folder is None:
            have = sorted({d.name for p in self.roles if p.is_dir() for d in p.iterdir() if d.is_dir()})
            near = get_close_matches(name, have, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"roles: {', '.join(have) or 'none'}"
            raise NotFound(f"there is no role '{name}'", hint=hint)
        return {
            f"roles/{name}/{path.relative_to(folder)}": _content(path, f"{name}/{path.relative_to(folder)}")
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }


def pinned_files(
    runbook: Runbook, actions: Mapping[str, Action], sources: Sources, space: str = ""
) -> dict[str, bytes]:
    """Everything that the runbook's actions and looks need; ``space``: the path of the step that it is, if it is one.

    The roles are the site's, and the same for all; what stands beside has its runbook's own place. Raises as
    ``Sources.pin``.
    """
    files: dict[str, bytes] = {}
    for call in _calls(runbook):
        action = actions[call.kind]
        for name, data in sources.pin(action, unrendered(action, call.fields)).items():
            files[name if name.startswith("roles/") else f"{beside(space)}/{name.removeprefix('beside/')}"] = data
    return files


def lay_out(files: Mapping[str, str], content: Callable[[str], bytes], top: Path) -> Path:
    """A folder below ``top`` with a plan's files (name → SHA-256) as they were approved.

    ``content``: a file by its SHA-256. The same files are always the same folder.
    """
    folder = top / hashlib.sha256(rfc8785.dumps(dict(files))).hexdigest()
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(content(digest))
            part.rename(path)
    return folder


def _calls(part: Any) -> Iterator[Call]:
    """Every action and look of a document, wherever it stands."""
    if isinstance(part, Call):
        yield part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _calls(getattr(part, name))
    elif isinstance(part, Mapping):
        for item in part.values():
            yield from _calls(item)
    elif isinstance(part, tuple):
        for item in part:
            yield from _calls(item)


def _content(path: Path, shown: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise Invalid(f"'{shown}' can't be read: {e.strerror}") from e


class _Loader(yaml.SafeLoader):
    """Ansible's YAML as far as names of roles go: its tags (``!vault``, ``!unsafe``) mean nothing here."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def _loaded(data: bytes) -> Any:
    try:
        return yaml.load(data, _Loader)  # noqa: S506 — a SafeLoader
    except (yaml.YAMLError, ValueError):
        return None  # Ansible says what is wrong with it


def _dependencies(meta: bytes) -> list[str]:
    return _role_names((_loaded(meta) or {}).get("dependencies"))


def _named_roles(files: Mapping[str, bytes]) -> list[str]:
    """The roles that plays and tasks name as they are; not those of a collection, nor what only a variable tells."""
    found: list[str] = []

    def visit(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key == "roles":
                    found.extend(_role_names(item))
                elif key in ROLE_TASKS:
                    found.extend(_role_names([item]))
                elif isinstance(item, list):  # tasks, block, rescue, handlers, …
                    visit(item)

    for name, data in files.items():
        folders = Path(name).parts[:-1]
        if name.endswith((".yml", ".yaml")) and not {"templates", "files", "vars", "defaults"} & set(folders):
            visit(_loaded(data))
    return found


def _role_names(items: Any) -> list[str]:
    names = [
        item if isinstance(item, str) else (item or {}).get("role") or (item or {}).get("name") for item in items or ()
    ]
    return [name for name in names if isinstance(name, str) and "{{" not in name and "." not in name]
