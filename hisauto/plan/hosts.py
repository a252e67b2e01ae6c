"""Which hosts a runbook's names stand for, found by looking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hisauto.errors import Refused
from hisauto.plan.look import Looker, Seen
from hisauto.runbook.documents import HostSet, Runbook
from hisauto.runbook.expressions import Truth, render
from hisauto.runbook.scope import Hosts


@dataclass(frozen=True)
class Discovered:
    """Hosts by name, and what was seen on the way."""

    hosts: Mapping[str, tuple[str, ...]]
    seen: Mapping[str, Seen]
    """By name, for those that were found by a look."""


def discover(runbook: Runbook, looker: Looker) -> Discovered:
    """Every name under ``hosts``, in order; later ones may use earlier ones. Raises ``Refused``, ``NotFound``."""
    found: dict[str, tuple[str, ...]] = {}
    seen: dict[str, Seen] = {}
    for name, wanted in runbook.hosts.items():
        at = looker.scope.plus(hosts={k: Hosts(v) for k, v in found.items()})
        pattern = render(wanted.pattern, at.at(None))
        hosts = tuple(at.world.resolve(pattern, found))
        if wanted.where is not None:
            look = wanted.where.model_copy(update={"hosts": pattern, "unreachable": wanted.unreachable})
            seen[name] = answer = looker.within(at).once(look)
            unknown = [h for h in answer.hosts if h.truth is Truth.unknown and not h.left_out]
            if unknown:
                whys = "; ".join(f"{h.host}: {h.why}" for h in unknown)
                raise Refused(f"who is '{name}' cannot be told: {whys}")
            hosts = answer.known_hosts
        _check_number(name, wanted, hosts, pattern, seen.get(name))
        found[name] = hosts
    return Discovered(found, seen)


def _check_number(name: str, wanted: HostSet, hosts: tuple[str, ...], pattern: str, seen: Seen | None) -> None:
    if wanted.exactly is not None and len(hosts) != wanted.exactly:
        need = f"exactly {wanted.exactly}"
    elif wanted.at_least is not None and len(hosts) < wanted.at_least:
        need = f"at least {wanted.at_least}"
    else:
        return
    whys = "; ".join(f"{h.host}: {h.why or h.truth.value}" for h in seen.hosts) if seen else ""
    raise Refused(
        f"'{name}' ({pattern}) has to be {need} host(s), and is {', '.join(hosts) or 'none'}"
        f"{f' ({whys})' if whys else ''}",
        hint="nothing was touched; look at the hosts' true roles before you go on",
    )
