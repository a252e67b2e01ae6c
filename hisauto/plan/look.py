"""Looking: a probe over its hosts, and what can be told from it.

Three truths (``docs/semantics.md``): an expression is true or false; anything else, and a host that gave no answer,
cannot be told. Cannot-be-told never counts as either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from hisauto.clock import Clock, stamp
from hisauto.errors import Broken, HisautoError, Superseded, Unreachable, UsageError
from hisauto.model.action import Action, Observation, Place, Purpose, secret_fields
from hisauto.model.transport import Script
from hisauto.model.world import World
from hisauto.plan.places import beside
from hisauto.plan.scope import Scope
from hisauto.redact import mask
from hisauto.runbook.calls import unrendered
from hisauto.runbook.documents import Call, Probe, Step
from hisauto.runbook.expressions import Truth, evaluate, render, render_value

POLL = 0.15
"""Seconds between two looks at the same thing; grows to ``POLL_MAX``."""
POLL_MAX = 1.0
FANOUT = 32
"""Hosts looked at side by side."""

Cancelled = Callable[[], bool]


def never_cancelled() -> bool:
    return False


@dataclass(frozen=True)
class HostSeen:
    """What one host answered to a probe."""

    host: str | None
    truth: Truth
    why: str
    observation: Observation
    left_out: bool = False
    """Unreachable, and the probe goes on without it."""


@dataclass(frozen=True)
class Seen:
    """A probe's answer: its truth over all hosts, and what each of them said."""

    truth: Truth
    why: str
    hosts: tuple[HostSeen, ...]
    at: datetime

    @property
    def known_hosts(self) -> tuple[str, ...]:
        return tuple(h.host for h in self.hosts if h.truth is Truth.true and h.host is not None)

    def values(self) -> dict[str, Any]:
        """JSON: what is journaled and registered of it."""
        return {
            "truth": self.truth.value,
            "why": self.why,
            "at": stamp(self.at),
            "hosts": [
                {"host": h.host, "truth": h.truth.value, "why": h.why, "values": dict(h.observation.values)}
                for h in self.hosts
            ],
        }


class Rendered(Probe):
    """A look whose action has its fields rendered already: data is never evaluated twice."""


@dataclass(frozen=True)
class Looker:
    """Takes probes at hosts through the world's sessions."""

    scope: Scope
    clock: Clock
    cancelled: Cancelled = field(default=never_cancelled)

    def within(self, scope: Scope) -> Looker:
        return replace(self, scope=scope)

    def place(self, here: str | None, attempt: str) -> Place:
        """Where an action works, with the names and the files that its runbook has there."""
        made = self.scope.world.place(here, attempt)
        return replace(made, names=self.scope.at(here), beside=beside(self.scope.space))

    def concrete(
        self,
        call: Call,
        here: str | None,
        *,
        purpose: Purpose,
        timeout: float,
        become: str | None = None,
        env: Mapping[str, str] | None = None,
        attempt: str = "look",
    ) -> tuple[str | None, Script]:
        """An action with its fields rendered as the script to run, and where: a host, or None for the node."""
        world, names = self.scope.world, self.scope.filling(here)
        action = world.actions[call.kind]
        fields = valid(action, call)
        made = action.call(fields, self.place(here, attempt), purpose)
        script = replace(
            made.script,
            timeout=timeout,
            become=become if made.on == "host" else None,
            env={**made.script.env, **{k: render(v, names) for k, v in (env or {}).items()}},
        )
        world.secrets.redactor.learn(*script.secrets)
        return (here if made.on == "host" else None), script

    def observe(self, probe: Probe, here: str | None) -> Observation:
        """One look at one place. Raises ``Unreachable``; a look that ran out of time is an unknown answer."""
        call = probe.action
        purpose: Purpose = "change" if probe.changes else "look"  # a canary that writes, under ``verify``
        if call is None:
            return Observation(known=True)
        if not isinstance(probe, Rendered):
            call = fill(call, self.scope, here)
        where, script = self.concrete(
            call, here, purpose=purpose, timeout=probe.timeout, become=probe.become, env=probe.env
        )
        done = self.scope.world.session(where).probe(script, cancelled=self.cancelled)
        if done.how != "exit":
            return Observation(known=False, why=f"the look ended by {done.how} after {probe.timeout:g} s")
        action = self.scope.world.actions[call.kind]
        observation = action.read(valid(action, call), done, purpose)
        return replace(observation, diff=mask(observation.diff, script.secrets)) if observation.diff else observation

    def targets(self, probe: Probe) -> Sequence[str | None]:
        """The hosts of a probe: its own, or where the work is done (a host, or the node)."""
        if probe.hosts is None:
            return [self.scope.here]
        names = self.scope.names.get("hosts", {})
        pattern = render(probe.hosts, self.scope.at(self.scope.here))
        return list(self.scope.world.resolve(pattern, {k: list(v) for k, v in names.items()}))

    def targets_of(self, step: Step) -> Sequence[str | None]:
        """The hosts of a step: its own, or the unit's, or the node."""
        return self.targets(Probe(hosts=step.hosts))

    def changes(self, step: Step) -> bool:
        return changes(step, self.scope.world)

    def once(self, probe: Probe) -> Seen:
        """Look once, at all its hosts side by side."""
        try:
            targets = self.targets(probe)
        except HisautoError as e:
            nowhere = HostSeen(None, Truth.unknown, str(e), Observation(False, why=str(e)))
            return Seen(Truth.unknown, str(e), (nowhere,), self.clock.now())
        if len(targets) == 1:
            seen = [self._at(probe, targets[0])]
        else:
            with ThreadPoolExecutor(min(FANOUT, max(1, len(targets)))) as pool:
                seen = list(pool.map(lambda h: self._at(probe, h), targets))
        truth, why = count(seen, exactly=probe.exactly, at_least=probe.at_least)
        return Seen(truth, why, tuple(seen), self.clock.now())

    def until(self, probe: Probe, *, within: float, holds: float = 0.0, stop_on_false: bool = False) -> Seen:
        """Look until it is true, and then stays true for ``holds`` seconds; give up ``within`` seconds from now.

        It has to have begun to hold by ``within``. ``stop_on_false``: a clear no ends it at once.
        """
        begun = self.clock.monotonic()
        since: float | None = None
        pause = POLL
        while True:
            asked = self.clock.monotonic()
            seen = self.once(probe)
            now = self.clock.monotonic()
            if seen.truth is Truth.true:
                since = asked if since is None else since
                if now - since >= holds:
                    return seen
                pause = POLL
            else:
                since = None
                if now - begun >= within or self.cancelled() or (stop_on_false and seen.truth is Truth.false):
                    return seen
            if self.cancelled():
                return replace(seen, truth=Truth.unknown, why="cancelled while looking")
            left = holds - (now - since) if since is not None else max(within - (now - begun), 0.01)
            self.clock.sleep(min(pause, left))
            pause = min(pause * 1.4, POLL_MAX)

    def _at(self, probe: Probe, here: str | None) -> HostSeen:
        """What a host answers, without a secret in it: it is shown, kept and known to other steps."""
        seen = self._answer(probe, here)
        redactor = self.scope.world.secrets.redactor
        masked = replace(seen.observation, values=redactor.value(dict(seen.observation.values)))
        return replace(seen, why=redactor.text(seen.why), observation=masked)

    def _answer(self, probe: Probe, here: str | None) -> HostSeen:
        try:
            observation = self.observe(probe, here)
        except Unreachable as e:
            return HostSeen(here, Truth.unknown, str(e), Observation(False, why=str(e)), probe.unreachable is not None)
        except (Superseded, Broken):  # of the record: that is no answer of the host
            raise
        except HisautoError as e:
            return HostSeen(here, Truth.unknown, str(e), Observation(False, why=str(e)))
        truth, why = judge(observation, self.expectation(probe), self.scope.at(here))
        return HostSeen(here, truth, why, observation)

    def expectation(self, probe: Probe) -> str | None:
        """What the probe expects: its own word, or its action's default."""
        if probe.expect is not None or probe.action is None:
            return probe.expect
        return self.scope.world.actions[probe.action.kind].default_expect


def changes(step: Step, world: World) -> bool:
    """Whether a step by itself can change anything: its author's word, else its action's."""
    if step.changes is not None:
        return step.changes
    if step.manual is not None:
        return True
    if step.action is None:
        return False
    action = world.actions[step.action.kind]
    return action.changes(unrendered(action, step.action.fields))


def fill(call: Call, scope: Scope, here: str | None) -> Call:
    """An action's fields with what stands in their ``{{ }}``; secrets only where the action takes them."""
    taken = secret_fields(scope.world.actions[call.kind])
    public, private = scope.at(here), scope.filling(here)
    fields = {name: render_value(value, private if name in taken else public) for name, value in call.fields.items()}
    return Call(kind=call.kind, fields=fields)


def valid(action: Action, call: Call) -> BaseModel:
    """The plugin's model of rendered fields. Raises ``UsageError``; what a field holds is not quoted."""
    try:
        return action.fields.model_validate(call.fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{call.kind}: {f'{place}: ' if place else ''}{first['msg']}") from None


def own_look(step: Step, world: World, kind: type[Probe] = Probe) -> tuple[Probe, bool] | None:
    """How a step's action looks at its own effect, and whether that may stand in for a ``done_when``."""
    own = world.actions[step.action.kind].own_look if step.action is not None else None
    if own is None:
        return None
    probe = kind(action=call_of(step), expect=own.expect, timeout=step.timeout, become=step.become, env=step.env)
    return probe, own.settles


def settled(step: Step, world: World, kind: type[Probe] = Probe) -> Step:
    """The step with its action's own look for a ``done_when``, where it has none and the action brings one."""
    own = own_look(step, world, kind) if step.done_when is None else None
    return step.model_copy(update={"done_when": own[0]}) if own is not None and own[1] else step


def call_of(step: Step) -> Call:
    """A step's action, with the variables that stand beside it."""
    assert step.action is not None
    fields = dict(step.action.fields)
    if step.vars:
        fields["vars"] = {**fields.get("vars", {}), **step.vars}
    return Call(kind=step.action.kind, fields=fields)


def judge(observation: Observation, expect: str | None, names: Mapping[str, Any]) -> tuple[Truth, str]:
    """Whether an observation is what was expected, and why (not)."""
    if not observation.known:
        return Truth.unknown, observation.why or "cannot be told"
    if expect is None:
        return Truth.true, ""
    answer = evaluate(expect, {**names, **observation.values})
    if answer.truth is Truth.true:
        return Truth.true, ""
    said = observation.why or brief(observation.values)
    why = answer.why or ("is not so" if answer.truth is Truth.false else "cannot be told")
    return answer.truth, f"{expect}: {why}{f' ({said})' if said else ''}"


def telling(values: Mapping[str, Any]) -> Any:
    """The part of an observation that a person wants to see: the row, the state, the answer."""
    for name in ("row", "state", "stdout", "json", "status"):
        if values.get(name) not in (None, ""):
            return values[name]
    return dict(values)


def brief(values: Mapping[str, Any], limit: int = 160) -> str:
    """The few values a reader wants to see, on one line."""
    shown = {k: v for k, v in values.items() if k in ("row", "state", "status", "rc", "stdout", "stderr") and v != ""}
    text = ", ".join(f"{k}={v}" for k, v in shown.items()).replace("\n", " ⏎ ")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def count(seen: Sequence[HostSeen], *, exactly: int | None, at_least: int | None) -> tuple[Truth, str]:
    """The truth over several hosts: all must hold, or as many as said. Unknowns make the count a range."""
    asked = [s for s in seen if not s.left_out]
    low = sum(s.truth is Truth.true for s in asked)
    unknown = [s for s in asked if s.truth is Truth.unknown]
    high = low + len(unknown)
    whys = "; ".join(f"{s.host or 'node'}: {s.why}" for s in seen if s.why)
    if not asked:
        return Truth.unknown, whys or "there is no host to ask"
    if exactly is not None:
        holds, none = low == high == exactly, not low <= exactly <= high
        said = f"{exactly} wanted"
    elif at_least is not None:
        holds, none = low >= at_least, high < at_least
        said = f"at least {at_least} wanted"
    else:
        holds, none = low == len(asked), high < len(asked)
        said = f"all {len(asked)} wanted" if len(asked) > 1 else ""
    if holds:
        return Truth.true, ""
    found = f"{low} of {len(asked)}" if low == high else f"{low} to {high} of {len(asked)}"
    note = f"{found}, {said}" if said else ""
    return (Truth.false if none else Truth.unknown), ": ".join(x for x in (note, whys) if x)
