"""What a step can do: plugins of the entry point group ``hisauto.actions``, ours as well as anyone's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hisauto.errors import Refused

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from hisauto.model.action import Action

GROUP = "hisauto.actions"


def load() -> Mapping[str, Action]:
    """Every installed action by its name. Raises ``Refused`` for two of one name and for a plugin that doesn't load."""
    from importlib.metadata import entry_points  # slow to load, and ansible.py comes through here

    chosen: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = chosen.setdefault(point.name, point)
        if other.value != point.value:
            raise Refused(
                f"two plugins call their action '{point.name}': {_from(other)} and {_from(point)}",
                hint="uninstall one of them",
            )
    return {name: _made(point) for name, point in sorted(chosen.items())}


def _made(point: EntryPoint) -> Action:
    try:
        action: Action = point.load()()
    except Exception as e:
        raise Refused(f"the action '{point.name}' of {_from(point)} doesn't load: {e}") from e
    if action.name != point.name:
        raise Refused(f"the action '{point.name}' of {_from(point)} calls itself '{action.name}'")
    return action


def _from(point: EntryPoint) -> str:
    return f"{point.value} ({point.dist.name} {point.dist.version})" if point.dist else point.value
