"""What a rehearsal knows of the world: hosts, their state, what looks answer, what changes it (docs/rehearsal.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hisauto.errors import Invalid
from hisauto.model.action import Action
from hisauto.model.problems import Problem, did_you_mean, invalid
from hisauto.model.run import RunState
from hisauto.model.yamltext import Path, Value, load
from hisauto.runbook.expressions import references
from hisauto.runbook.source import Source, from_pydantic
from hisauto.runbook.types import FreeText, Text, Texts

NO_PLAN = "no plan"
MANUAL = "manual"
"""Stands for what a person does, where a fact names an action."""
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?")
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}


def typed(value: Any) -> Any:
    """Text that is a number, true, false or null is that; everything else stays text."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if not isinstance(value, str):
        return value
    if value in _WORDS:
        return _WORDS[value]
    if _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    _compiles(value, template=True)
    return value


def _compiles(text: str, *, template: bool = False) -> str:
    try:
        references(text, template=template)
    except Invalid as error:
        raise ValueError(str(error)) from None
    return text


def _end(value: Any) -> str:
    ends = [state.value for state in RunState if state.ended]
    if value not in (*ends, NO_PLAN):
        raise ValueError(f"expected {', '.join(ends)} or {NO_PLAN}, not {str(value)[:40]!r}")
    return str(value)


End = Annotated[str, BeforeValidator(_end)]
Expression = Annotated[Text, AfterValidator(_compiles)]
Json = Annotated[Any, BeforeValidator(typed)]
State = dict[Text, Json]
"""Variable → value."""


class Doc(BaseModel):
    """A part of the file: frozen, unknown words refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sent(Doc):
    """An action as it is sent: a pattern (``*``, ``?``) for each field that matters."""

    kind: str
    fields: dict[str, Any] = {}


class Fact(Doc):
    """What the world does when an action like this one is sent to it. The first that fits counts."""

    sent: Sent
    hosts: Texts = ()
    """Hosts or groups; none: everywhere."""
    when: Expression | None = None


class Answer(Fact):
    """To what only looks."""

    silent: Expression | None = None
    """True: it can't be told."""
    says: dict[Text, Json] = {}
    """What the action returns, beyond what it always does."""


class Effect(Fact):
    """Of what changes something."""

    then: dict[Text, Json] = {}
    """``HOST.VARIABLE`` or ``here.VARIABLE`` → value."""
    fails: Expression | None = None
    """True: it ends with an error, and nothing is changed."""
    at_once: Text | None = None
    """Why its effect can't come later than its end."""
    says: dict[Text, Json] = {}


class Never(Doc):
    """What must not be so in any state."""

    name: Text
    expect: Expression


class Test(Doc):
    """One beginning: how the world is when the runbook is started, and how that ends if nothing goes wrong."""

    test: Text
    params: dict[Text, FreeText] = {}
    state: dict[Text, State] = {}
    """Beyond the file's."""
    end: End = "succeeded"


class Facts(Doc):
    """The file."""

    hosts: Annotated[dict[Text, Texts], Field(min_length=1)]
    """Group → hosts."""
    vars: dict[Text, State] = {}
    """Group or host → inventory variables."""
    state: dict[Text, State] = {}
    """Group or host → its variables."""
    up: Expression | None = None
    """Whether a host lives at all: what is at work on one that doesn't dies."""
    reachable: Expression | None = None
    """Whether the node can reach a host that lives."""
    answers: tuple[Answer, ...] = ()
    effects: tuple[Effect, ...] = ()
    never: tuple[Never, ...] = ()
    stays: dict[Text, Text] = {}
    """``HOST.VARIABLE``, patterns → why no undo brings it back."""
    secrets: Texts = ()
    tests: Annotated[tuple[Test, ...], Field(min_length=1)]

    def every(self) -> list[str]:
        """All hosts, in order."""
        return list(dict.fromkeys(host for hosts in self.hosts.values() for host in hosts))

    def spread(self, written: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """What is written for groups and hosts, by host; a host's own word wins."""
        found: dict[str, dict[str, Any]] = {host: {} for host in self.every()}
        for name in sorted(written, key=lambda n: n in found):
            for host in [name] if name in found else self.every() if name == "all" else self.hosts[name]:
                found[host] |= written[name]
        return found


def read_facts(text: bytes, name: str, actions: Mapping[str, Action]) -> tuple[Facts, Source]:
    """Read the file; ``name`` is its name for messages. Raises ``Invalid`` with all its problems."""
    document = load(text, name)
    source = Source(document)
    if not isinstance(document.value, dict):
        raise invalid([source.problem((), "HA100", "a file of tests is a mapping", "it begins with: hosts: …")])
    problems: list[Problem] = []
    value: dict[str, Any] = dict(document.value)
    for key in ("answers", "effects"):
        if isinstance(items := value.get(key), list):
            value[key] = [_sent(item, (key, n), source, actions, problems) for n, item in enumerate(items)]
    try:
        facts = Facts.model_validate(value)
    except ValidationError as error:
        more = dict.fromkeys(("Answer", "Effect"), (*actions, MANUAL))
        found = from_pydantic(error.errors(include_url=False), source, Facts, (), more)
        raise invalid([*problems, *found]) from None
    problems += [*_unknown(facts, source), *_twice(facts, source)]
    problems += () if problems else _targets(facts, source)
    if problems:
        raise invalid(problems)
    return facts, source


def _sent(
    raw: Value, path: Path, source: Source, actions: Mapping[str, Action], problems: list[Problem]
) -> Any:  # fmt: skip
    """The action's key as ``sent``; a scalar or a list stands for its main field."""
    if not isinstance(raw, dict):
        return raw
    value: dict[str, Any] = dict(raw)
    found = [key for key in raw if key in actions or key == MANUAL]
    if len(found) != 1:
        message = f"several actions: {', '.join(found)}" if found else "no action is named here"
        hint = "one fact, one action" if found else "expected one of: " + ", ".join((*actions, MANUAL))
        problems.append(source.problem(path, "HA104" if found else "HA105", message, hint))
        return {**{key: item for key, item in value.items() if key not in found}, "sent": {"kind": ""}}
    kind, given = found[0], value.pop(found[0])
    scalar = "do" if kind == MANUAL else actions[kind].scalar
    source.origins[(*path, "sent")] = (*path, kind)
    if not isinstance(given, dict):
        if scalar is None:
            known = ", ".join(i.alias or n for n, i in actions[kind].fields.model_fields.items())
            problems.append(
                source.problem((*path, kind), "HA103", f"{kind}: expected a mapping", f"its fields: {known}")
            )
        given = {scalar or "": given}
    fields = {"do"} if kind == MANUAL else {i.alias or n for n, i in actions[kind].fields.model_fields.items()}
    for word in given:
        if word not in fields and not (scalar is None or word == ""):
            hint = did_you_mean(word, sorted(fields))
            problems.append(source.problem((*path, kind, word), "HA101", f"unknown word {word!r}", hint, key=True))
    return {**value, "sent": {"kind": kind, "fields": given}}


def _unknown(facts: Facts, source: Source) -> Iterator[Problem]:
    """Names of hosts and groups that are none."""
    known = [*facts.every(), *facts.hosts, "all"]

    def names(found: Iterable[str], path: Path, *, key: bool = True) -> Iterator[Problem]:
        for one in found:
            if one not in known:
                at = (*path, one) if key else path
                yield source.problem(
                    at, "HA113", f"there is no host or group {one!r}", did_you_mean(one, known), key=key
                )

    yield from names(facts.vars, ("vars",))
    yield from names(facts.state, ("state",))
    for n, test in enumerate(facts.tests):
        yield from names(test.state, ("tests", n, "state"))
    for word, listed in (("answers", facts.answers), ("effects", facts.effects)):
        for n, fact in enumerate(listed):
            yield from names(fact.hosts, (word, n, "hosts"), key=False)


def _twice(facts: Facts, source: Source) -> Iterator[Problem]:
    seen: set[str] = set()
    for n, test in enumerate(facts.tests):
        if test.test in seen:
            yield source.problem(("tests", n, "test"), "HA116", f"the test {test.test!r} is there twice")
        seen.add(test.test)


def _targets(facts: Facts, source: Source) -> Iterator[Problem]:
    """What an effect changes has to be a variable that the state has: else a slip of the pen is a new one."""
    states = facts.spread(facts.state)
    for test in facts.tests:
        for host, more in facts.spread(test.state).items():
            states[host] |= more
    variables = sorted({name for state in states.values() for name in state})
    for n, effect in enumerate(facts.effects):
        for target in effect.then:
            host, _, variable = target.rpartition(".")
            path: Path = ("effects", n, "then", target)
            if "{{" in target:
                continue
            if host not in ("here", *states):
                hint = did_you_mean(host, ["here", *states])
                yield source.problem(
                    path, "HA113", f"{target!r}: expected HOST.VARIABLE or here.VARIABLE", hint, key=True
                )
            elif variable not in (variables if host == "here" else states[host]):
                hint = did_you_mean(variable, variables)
                yield source.problem(path, "HA113", f"no state has a variable {variable!r}", hint, key=True)
