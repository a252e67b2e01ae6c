"""Cases: a runbook, a world, what happens → every move, every state, and the end. YAML, like the runbooks.

``docs/testing.md`` says what may stand in one. Whatever a case doesn't mention must not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hisauto.model.problems import Problem, did_you_mean, invalid
from hisauto.model.run import AttemptState, RunState
from hisauto.model.yamltext import Path, load
from hisauto.runbook.source import Source, from_pydantic
from hisauto.runbook.types import Duration, Flag, FreeText, Level, Number, Text, Texts, listed
from hisauto.testing.moves import Expected, lines
from hisauto.testing.world import NODE

HEAD = "version: 1.0.0\ntitle: A case\nkind: emergency\nowner: dba\n"
"""Before a runbook's text that begins without its name."""


def _moves(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of moves, like [a ? service, a service=stopped]")
    for item in value:
        if isinstance(item, dict):
            raise ValueError("a move is text, like a service=stopped, and this is a mapping")
        if not isinstance(item, str):
            _moves(item)
        elif " " not in item.strip():
            raise ValueError(f"a move names a host and what is done there, like a service=stopped, not '{item[:40]}'")
    return value


Hosts = Annotated[tuple[Text, ...], BeforeValidator(listed)]
State = dict[Text, Any]
"""Key → value of a host."""


class Doc(BaseModel):
    """A part of a case: frozen, unknown words refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Doc):
    """Hosts and people, as the inventory and ``hisauto.yml`` have them."""

    groups: dict[Text, Hosts]
    people: dict[Text, Texts]
    """Person → roles."""
    may: dict[Literal["run", "decide", "cancel"], Texts] = {}
    """Deed → roles; a deed that isn't there is everybody's."""


class Deeds(Doc):
    """What happens at one moment, in this order."""

    passes: Duration = 0.0
    set: dict[Text, State] = {}
    """Somebody changes a host by hand."""
    silent: dict[Text, Texts] = {}
    """Keys of a host that can't be told from now on."""
    away: dict[Text, Duration] = {}
    """Hosts that can't be reached for so long."""
    restart: Hosts = ()
    die: Hosts = ()
    """What is at work there ends without a trace."""
    wipe: Hosts = ()
    """A cleaner removes the receipts."""
    leaves: Texts = ()
    """People who are no longer of the site."""
    says: dict[Text, Text] = {}
    """Person → answer to what the run waits for (``done with EVIDENCE``); or ``cancel``, or ``break glass``."""


class Event(Deeds):
    """What happens while nobody drives the run."""

    at: Text
    """``planned``, ``crash``, or the id of the question it waits with: ``gate:1``, ``doubt:1[a]#1``, ``lock`` …"""
    question: dict[Text, Any] = {}
    """What the question has to hold, among other things."""
    wakes: Flag = False
    """Time passes until the run wakes by itself."""
    crash: Text | None = None
    """Where the next drive dies: ``before`` or ``after`` and a write: ``after 1[a]#1 started``, ``before end`` …"""


class Trouble(Doc):
    """What goes wrong with an action at work; ``hisauto.testing.hosts.Fault`` says more."""

    exit: Number = 0
    effect: Flag | None = None
    takes: Duration = 0.0
    late: Duration = 0.0
    lost: Literal["unsent", "unstarted", "running", "answer"] | None = None
    away: Duration = 0.0
    no_space: Flag = False
    then: Deeds | None = None
    times: Number = 1


Troubles = Annotated[tuple[Trouble, ...], BeforeValidator(lambda v: [v] if isinstance(v, dict) else v)]


class Before(Doc):
    """How it is at the beginning."""

    state: dict[Text, State] = {}
    """Host → its state."""
    silent: dict[Text, Texts] = {}
    without_receipts: Hosts = ()
    faults: dict[Text, Troubles] = {}
    """``HOST ATTEMPT`` → what goes wrong there, one after another. Without ``#n``: with every try."""


class Case(Doc):
    """One case."""

    case: Text
    """Its name: what it shows."""
    covers: Texts = ()
    """Sentences of the law that it shows."""
    runbook: Text
    """A runbook's text, or the name of one under ``runbooks``."""
    others: dict[Text, Text] = {}
    """Runbooks that are steps in it, by name: their texts, or names of some under ``runbooks``."""
    params: dict[Text, FreeText] = {}
    by: Text = "duty-1"
    """Who asks for the run."""
    reason: FreeText = ""
    incident: Text | None = None
    level: Level = 1
    """Of the incident."""
    world: Before = Before()
    happens: tuple[Event, ...] = ()
    moves: Annotated[tuple[Any, ...], BeforeValidator(_moves)] = ()
    states: dict[Text, AttemptState] = {}
    """Every attempt of a step and its state in the end; those of an undo only if they are worth saying."""
    end: RunState | Literal["no plan"]
    why: FreeText = ""
    """Part of the reason that is given."""
    left: Texts = ()
    """Steps whose undo is left to do by hand."""
    after: dict[Text, State] = {}
    """Host → what its state holds in the end; null: nothing."""
    log: dict[Text, tuple[Any, ...]] = {}
    """Kind → what each entry of this kind holds, in order: a part of its text, or of its data."""
    summary: dict[Text, Any] = {}
    """What the run's summary holds, among other things."""

    @property
    def expected(self) -> tuple[Expected, ...]:
        return self.moves


class CaseFile(Doc):
    """A file of cases."""

    about: Text
    site: Site | None = None
    """None: the site that the reader gives."""
    runbooks: dict[Text, Text] = {}
    """Texts that several cases use, by name."""
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]


def read_cases(text: bytes, name: str, site: Site | None = None) -> tuple[Site, tuple[Case, ...]]:
    """Read a file of cases; ``name`` is the file for messages. Raises ``Invalid`` with all its problems."""
    document = load(text, name)
    source = Source(document)
    if not isinstance(document.value, dict):
        raise invalid([source.problem((), "HA100", "a file of cases is a mapping", "it begins with: about: …")])
    try:
        file = CaseFile.model_validate(document.value)
    except ValidationError as error:
        raise invalid(from_pydantic(error.errors(include_url=False), source, CaseFile, (), {})) from None
    on = file.site or site
    if on is None:
        raise invalid([source.problem((), "HA102", "'site' is missing")])
    problems = [*_twice(file, source), *_unknown(file, source, on)]
    if problems:
        raise invalid(problems)

    def written(named: str) -> str:
        return named if "\n" in named else file.runbooks[named]

    return on, tuple(
        case.model_copy(
            update={"runbook": written(case.runbook), "others": {k: written(v) for k, v in case.others.items()}}
        )
        for case in file.cases
    )


def _twice(file: CaseFile, source: Source) -> Iterable[Problem]:
    first: dict[str, int] = {}
    for n, case in enumerate(file.cases):
        path: Path = ("cases", n, "case")
        if case.case in first:
            line = source.line(("cases", first[case.case], "case"))
            yield source.problem(path, "HA116", f"this case is there twice; the first one is on line {line}")
        first.setdefault(case.case, n)


def _unknown(file: CaseFile, source: Source, site: Site) -> Iterable[Problem]:
    """Names of runbooks, hosts and people that are none."""
    hosts = {host for group in site.groups.values() for host in group} | {NODE}

    def names(found: Iterable[str], known: Iterable[str], what: str, path: Path) -> Iterable[Problem]:
        for one in found:
            if one not in known:
                yield source.problem(path, "HA113", f"there is no {what} '{one}'", did_you_mean(one, sorted(known)))

    def deeds(done: Deeds, path: Path) -> Iterable[Problem]:
        for key in ("set", "silent", "away", "restart", "die", "wipe"):
            yield from names(getattr(done, key), hosts, "host", (*path, key))
        for key in ("leaves", "says"):
            yield from names(getattr(done, key), site.people, "person", (*path, key))

    for n, case in enumerate(file.cases):
        at: Path = ("cases", n)
        for word, texts in (("runbook", [case.runbook]), ("others", list(case.others.values()))):
            yield from names([text for text in texts if "\n" not in text], file.runbooks, "runbook", (*at, word))
        yield from names([case.by], site.people, "person", (*at, "by"))
        for key in ("state", "silent", "without_receipts"):
            yield from names(getattr(case.world, key), hosts, "host", (*at, "world", key))
        for fault, troubles in case.world.faults.items():
            where: Path = (*at, "world", "faults", fault)
            yield from names([fault.partition(" ")[0]], hosts, "host", where)
            for trouble in troubles:
                yield from deeds(trouble.then or Deeds(), where)
        for m, event in enumerate(case.happens):
            yield from deeds(event, (*at, "happens", m))
        yield from names([move.partition(" ")[0] for move in lines(case.expected)], hosts, "host", (*at, "moves"))
        yield from names(case.after, hosts, "host", (*at, "after"))


def holds(wanted: Any, found: Any) -> bool:
    """Whether ``found`` has all that is wanted of it: of a mapping the keys that are named, of text its letters."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(k in found and holds(v, found[k]) for k, v in wanted.items())
    if isinstance(wanted, list | tuple):
        return isinstance(found, list | tuple) and len(wanted) == len(found) and all(map(holds, wanted, found))
    return str(wanted) == as_written(found)


def as_written(value: Any) -> str:
    """A value of JSON as one writes it in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
