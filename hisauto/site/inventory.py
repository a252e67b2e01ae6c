"""The inventory as Ansible sees it: groups, hosts, variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hisauto.errors import Invalid, NotFound
from hisauto.model.problems import did_you_mean
from hisauto.site import cache
from hisauto.site.ansible import list_inventory
from hisauto.site.site import Site


class HostVars(Mapping[str, Any]):
    """One host's variables, read-only, as they are in the files.

    A value that only Ansible could work out (a Jinja template, a vaulted value) is not listed, and reading it raises
    ``Invalid``: taking ``{{ … }}`` for a text would be a lie.
    """

    def __init__(self, host: str, values: Mapping[str, Any]) -> None:
        self._host = host
        self._values: dict[str, Any] = {}
        self._withheld: dict[str, str] = {}
        for name, value in values.items():
            if why := _unreadable(value):
                self._withheld[name] = why
            else:
                self._values[name] = _plain(value)

    def __getitem__(self, name: str) -> Any:
        if name in self._withheld:
            raise Invalid(
                f"the variable {name!r} of {self._host} {self._withheld[name]}",
                hint="hisauto reads inventory values as they are: write the plain value where it is needed",
            )
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        # Never the values: passwords are among them.
        return f"<variables of {self._host}>"


@dataclass(frozen=True)
class Inventory:
    """Hosts with their variables; groups with all their hosts, children's included, in Ansible's order."""

    hosts: Mapping[str, HostVars]
    """In the order that wildcards list hosts in; ``groups["all"]`` has the order of ``all``."""
    groups: Mapping[str, Sequence[str]]
    warnings: tuple[str, ...] = ()
    """What Ansible warned of, in its words."""

    def vars(self, host: str) -> HostVars:
        """The variables of ``host``, with ``inventory_hostname`` and ``group_names``. Raises ``NotFound``."""
        if host not in self.hosts:
            raise NotFound(f"the inventory has no host {host!r}", hint=did_you_mean(host, self.hosts) or None)
        return self.hosts[host]

    @classmethod
    def read(cls, site: Site) -> Inventory:
        """Ask Ansible, or recall its answer to these very files. Raises ``Invalid``, ``NotFound``, ``Unreachable``."""
        sources = site.paths("inventory")
        for source in sources:
            if not source.exists():
                raise NotFound(
                    f"the inventory {_shown(source, site.root)} isn't there", hint="see `inventory:` in hisauto.yml"
                )
        key = cache.key(site.root, sources)
        content = cache.recall(site.folder("cache"), key) if key else None
        if content is None:
            listed, warnings = list_inventory(site.root, sources, site.settings.timeouts.inventory)
            content = {**_digested(listed), "warnings": list(warnings)}
            # Files that changed while Ansible read them must not be remembered under either content.
            if key and cache.key(site.root, sources) == key:
                cache.remember(site.folder("cache"), key, content)
        groups = {name: tuple(hosts) for name, hosts in content["groups"].items()}
        hosts = {name: HostVars(name, values) for name, values in content["hosts"].items()}
        return cls(MappingProxyType(hosts), MappingProxyType(groups), tuple(content["warnings"]))


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _digested(listed: Mapping[str, Any]) -> dict[str, Any]:
    """``--list`` names each group's own hosts and children; wanted are all hosts of each, in Ansible's order."""
    order = list(dict.fromkeys(_walk("all", listed)))
    groups = {group: _hosts_under(group, listed) for group in order}
    hosts = {}
    for host in dict.fromkeys([*_met("all", listed), *groups["all"]]):
        hosts[host] = {
            **listed["_meta"]["hostvars"].get(host, {}),
            "inventory_hostname": host,
            "inventory_hostname_short": host.split(".")[0],
            "group_names": sorted(group for group in order if group != "all" and host in groups[group]),
        }
    return {"groups": groups, "hosts": hosts}


def _walk(group: str, listed: Mapping[str, Any]) -> Iterator[str]:
    """Depth first, as the files name them: how Ansible comes to know groups, and so how wildcards meet them."""
    yield group
    for child in listed.get(group, {}).get("children", ()):
        yield from _walk(child, listed)


def _met(group: str, listed: Mapping[str, Any]) -> Iterator[str]:
    """Hosts as Ansible's YAML reader meets them, children before a group's own, ungrouped last: a wildcard's order."""
    for child in listed.get(group, {}).get("children", ()):
        if child != "ungrouped":
            yield from _met(child, listed)
    yield from listed.get(group, {}).get("hosts", ())


def _hosts_under(group: str, listed: Mapping[str, Any]) -> list[str]:
    """Breadth first, like Ansible's ``Group.get_hosts``; that one leaves the order below the second level to chance."""
    layer, seen, hosts = [group], {group}, dict[str, None]()
    while layer:
        for name in layer:
            hosts.update(dict.fromkeys(listed.get(name, {}).get("hosts", ())))
        children = [child for name in layer for child in listed.get(name, {}).get("children", ())]
        layer = [child for child in dict.fromkeys(children) if child not in seen]
        seen.update(layer)
    return list(hosts)


def _unreadable(value: Any) -> str:
    """Why ``value`` can't be read as it is; empty if it can."""
    if isinstance(value, str):
        return "is a Jinja template" if "{{" in value or "{%" in value else ""
    if isinstance(value, list):
        return next(filter(None, map(_unreadable, value)), "")
    if isinstance(value, dict):
        if "__ansible_vault" in value:
            return "is encrypted with Ansible Vault"
        if "__ansible_unsafe" in value:
            return ""
        return next(filter(None, map(_unreadable, value.values())), "")
    return ""


def _plain(value: Any) -> Any:
    """``!unsafe`` texts unwrapped: they are plain by their author's word, braces and all."""
    if isinstance(value, dict):
        if "__ansible_unsafe" in value:
            return value["__ansible_unsafe"]
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
