"""Where a host is, who we are there, and by way of which other hosts."""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hisauto.errors import Invalid

Lookup = Callable[[str], Mapping[str, Any]]
"""The inventory's variables of a host by its name. Raises ``NotFound``."""
ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
PROXY = re.compile(r"-J(?P<j>.*)|-o(?P<option>.+)", re.DOTALL)
HOP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@/]+)@)?(?P<address>\[[^]]+\]|[^:/@\s]+)(?::(?P<port>\d+))?/?")


@dataclass(frozen=True)
class Address:
    """One host."""

    host: str
    """Its name in the inventory."""
    address: str
    port: int
    user: str
    key_file: Path | None = None
    known_hosts: Path | None = None
    """Of its own; None: the site's."""
    jump: Address | None = None
    """The host by way of which it is reached."""

    def __str__(self) -> str:
        return f"{self.host} ({self.user}@{self.address}:{self.port})"

    @classmethod
    def of(
        cls, host: str, vars: Mapping[str, Any], lookup: Lookup | None = None, *, after: tuple[str, ...] = ()
    ) -> Address:
        """From the inventory's variables; ``lookup`` finds those of a jump host, ``after`` are the hosts behind it.

        Raises ``Invalid`` for a port that is none, jumps in a circle and what can't be followed.
        """
        try:
            port = int(vars.get("ansible_port", 22))
        except (TypeError, ValueError):
            raise Invalid(f"{host}: ansible_port is {vars.get('ansible_port')!r}, not a number") from None
        key, known = vars.get("ansible_ssh_private_key_file"), vars.get("hisauto_known_hosts")
        return cls(
            host=host,
            address=str(vars.get("ansible_host", host)),
            port=port,
            user=str(vars.get("ansible_user") or getpass.getuser()),
            key_file=Path(key).expanduser() if key else None,
            known_hosts=Path(known) if known else None,
            jump=_jump(host, vars, lookup, after),
        )


def _jump(host: str, vars: Mapping[str, Any], lookup: Lookup | None, after: tuple[str, ...]) -> Address | None:
    way = (*after, host)
    if name := vars.get("hisauto_jump"):
        if name in way:
            raise Invalid(f"{way[0]}: its jump hosts go round in a circle: {' → '.join((*way, name))}")
        if lookup is None:
            raise Invalid(f"{host}: hisauto_jump is '{name}', and there is no inventory to find it in")
        return Address.of(str(name), lookup(str(name)), lookup, after=way)
    return _proxy_jump(host, " ".join(str(vars.get(name) or "") for name in ARGUMENTS))


def _proxy_jump(host: str, arguments: str) -> Address | None:
    """``-J`` or ``-o ProxyJump=`` among ssh's arguments, the first one, as ssh takes it."""
    try:
        words = shlex.split(arguments)
    except ValueError as e:
        raise Invalid(f"{host}: {' and '.join(ARGUMENTS)} can't be split into words: {e}") from None
    for n, word in enumerate(words):
        found = PROXY.fullmatch(word + (words[n + 1] if word in ("-J", "-o") and n + 1 < len(words) else ""))
        if not found:
            continue
        name, _, value = ("proxyjump", "", found["j"]) if found["j"] is not None else _option(found["option"])
        if name == "proxycommand" and value.lower() != "none":
            raise Invalid(
                f"{host}: a ProxyCommand can't be followed", hint="use -o ProxyJump=HOST, or the variable hisauto_jump"
            )
        if name == "proxyjump":
            return None if value.lower() == "none" else _chain(host, value.split(","))
    return None


def _option(text: str) -> tuple[str, str, str]:
    name, sign, value = re.sub(r"\s*[=\s]\s*", "=", text.strip(), count=1).partition("=")
    return name.lower(), sign, value


def _chain(host: str, hops: list[str]) -> Address | None:
    """The last hop, which is reached by way of those before it."""
    jump: Address | None = None
    for hop in hops:
        found = HOP.fullmatch(hop.strip())
        if not found:
            raise Invalid(f"{host}: '{hop}' is no jump host", hint="[USER@]HOST[:PORT], several with commas")
        address = found["address"].strip("[]")
        made = Address(address, address, int(found["port"] or 22), found["user"] or getpass.getuser())
        jump = replace(made, jump=jump)
    return jump
