"""What a person types to take a look or do a step without hisauto."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hisauto.errors import HisautoError
from hisauto.model.action import ByHand, Purpose, Typed
from hisauto.plan.look import Looker
from hisauto.redact import MASK, mask, mask_all
from hisauto.runbook.documents import Call
from hisauto.runbook.expressions import Reference, references, render, render_value
from hisauto.runbook.scope import SecretValues


@dataclass(frozen=True)
class Instruction:
    """Shell text for one place."""

    host: str | None
    """None: a terminal at the site's folder."""
    text: str
    open: str = ""
    """Why it can't be told as it will be: the text is what the runbook says, and a person has to fill it in."""


def instruct(
    looker: Looker, call: Call, here: str | None, purpose: Purpose, become: str | None = None,
    env: Mapping[str, str] | None = None, secrets: Sequence[str] = (), no_log: bool = False,
) -> Instruction:  # fmt: skip
    """The command of an action at a place, without ``secrets``, and with ``no_log`` without what it hides."""
    world, scope = looker.scope.world, looker.scope
    names = {**scope.at(here), "secrets": SecretValues(scope.names.get("secrets") or {}, lambda _: MASK)}
    action = world.actions[call.kind]
    if not isinstance(action, ByHand):
        return Instruction(here, _raw(call), f"{call.kind} has no form for a terminal")
    try:
        fields = action.fields.model_validate(mask_all(render_value(call.fields, names), secrets))
        typed = action.by_hand(fields, looker.place(here, "paper"), purpose)
        given = {name: mask(render(value, names), secrets) for name, value in (env or {}).items()}
    except HisautoError as error:
        return Instruction(here, _raw(call), str(error))
    except ValueError as error:
        return Instruction(here, _raw(call), f"{call.kind}: {error}")
    if no_log and typed.private:
        typed = replace(typed, text=typed.text.replace(typed.private, MASK))
    text = _as(typed, become if typed.on == "host" else None, given)
    hidden = "a secret is masked; take it from where it is kept" if MASK in text else ""
    return Instruction(here if typed.on == "host" else None, text, hidden)


def _raw(call: Call) -> str:
    return f"{call.kind}: {json.dumps(call.fields, ensure_ascii=False)}"


def _as(typed: Typed, user: str | None, env: Mapping[str, str]) -> str:
    """With the user and the environment that the step gives it."""
    sudo = ["sudo", "-u", user] if user is not None else []
    given = ["env", *(f"{name}={value}" for name, value in env.items())] if env else []
    if not sudo and not given:
        return typed.text
    lead = shlex.join([*sudo, *given])
    return f"{lead} {typed.text}" if typed.simple else f"{lead} sh -c {shlex.quote(typed.text)}"


def login(host: str, hostvars: Mapping[str, Mapping[str, Any]], *, whole: bool = False) -> str:
    """How one gets onto a host, by its inventory variables. ``whole``: with its key and its known hosts, too."""
    about, words = hostvars[host], ["ssh"]
    if about.get("ansible_port") is not None:
        words += ["-p", str(about["ansible_port"])]
    if whole and (key := about.get("ansible_ssh_private_key_file")):
        words += ["-i", str(key)]
    if jumps := _jumps(about, hostvars):
        words += ["-J", ",".join(jumps)]
    common = str(about.get("ansible_ssh_common_args") or "") if whole else ""
    if whole and (known_hosts := about.get("hisauto_known_hosts")) and "UserKnownHostsFile" not in common:
        words += ["-o", f"UserKnownHostsFile={known_hosts}"]
    words += shlex.split(common)
    return shlex.join([*words, _address(host, about)])


def _address(host: str, about: Mapping[str, Any]) -> str:
    address, user = str(about.get("ansible_host") or host), about.get("ansible_user")
    return f"{user}@{address}" if user else address


def _jumps(about: Mapping[str, Any], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The hosts in between, the first to log in to first; the transport refuses jumps in a circle."""
    found: list[str] = []
    while (name := about.get("hisauto_jump")) in hostvars and len(found) < len(hostvars):
        about = hostvars[str(name)]
        port = f":{about['ansible_port']}" if about.get("ansible_port") is not None else ""
        found.insert(0, f"{_address(str(name), about)}{port}")
    return found


def known(text: str, names: Mapping[str, Any]) -> dict[str, str]:
    """What the fixed names of an expression stand for now, for its reader: ``hosts.standby`` → ``db2``."""
    found = {}
    for reference in sorted(references(text), key=str):
        if reference[0] in ("params", "hosts", "vars", "host") and (value := _value(reference, names)) is not None:
            found[".".join(map(str, reference))] = value
    return found


def _value(reference: Reference, names: Mapping[str, Any]) -> str | None:
    value: Any = names
    for part in reference:
        try:
            value = value[part]
        except (LookupError, TypeError, HisautoError):
            return None
    return str(value) if isinstance(value, str | int | float | tuple) else None
