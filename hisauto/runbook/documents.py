"""The language's documents: what a runbook may say, as frozen models.

They read both what ``loader.py`` made of the YAML and their own JSON (the frozen plan). The words' types and
messages are in ``types.py``; what the words mean is written in ``docs/semantics.md``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from hisauto.runbook.types import (
    BatchSize,
    BatchSizes,
    Choices,
    Duration,
    Each,
    EnvName,
    Expression,
    Flag,
    FreeText,
    Language,
    Levels,
    Name,
    Names,
    Number,
    Otherwise,
    Pattern,
    Quorum,
    RuleCode,
    Slug,
    Template,
    Templates,
    Text,
    Texts,
    User,
    Version,
    short_for,
)


class Doc(BaseModel):
    """A document or a part of one: frozen, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Accepted = dict[RuleCode, Text]
"""Warnings that are all right here, and why; for everything inside, too."""


class Call(Doc):
    """An action with its fields, as its plugin validated and normalised them (templates not yet rendered)."""

    kind: str
    fields: dict[str, Any]
    """JSON; a field that couldn't be validated before its templates are rendered is as written."""


class GoOn(Doc):
    """``unreachable: {go_on: why}``: an unreachable host is left out here, for a stated reason."""

    go_on: Text


class Probe(Doc):
    """A look: ``done_when``, ``guards``, ``where``, ``never``, ``verify``."""

    name: Text | None = None
    action: Call | None = None
    """None: ``expect`` looks at names that are there already."""
    hosts: Pattern | None = None
    expect: Expression | None = None
    holds: Duration = 0.0
    within: Duration | None = None
    timeout: Duration = 10.0
    exactly: Number | None = None
    at_least: Number | None = None
    unreachable: GoOn | None = None
    register_: Name | None = Field(None, alias="register")
    become: User | None = None
    env: dict[EnvName, Template] = {}
    changes: Flag = False
    """Under ``verify``: permits a canary that writes."""
    measures: dict[Literal["rpo"], Expression] = {}
    """Under ``verify``: seconds of data lost, by a ledger."""
    accept: Accepted = {}


class Undo(Doc):
    """The way back of a step."""

    action: Call
    hosts: Pattern | None = None
    done_when: Probe | None = None
    within: Duration = 30.0
    timeout: Duration = 300.0
    idempotent: Flag = False
    become: User | None = None
    env: dict[EnvName, Template] = {}


class Approve(Doc):
    """A gate."""

    question: Template
    facts: Names = ()
    by: Annotated[dict[Name, Quorum], Field(min_length=1)]
    """Role → how many distinct people of it have to say yes."""
    choices: Choices = ()
    """What there is to choose from; empty: yes or no."""
    within: Duration = 600.0
    otherwise: Otherwise = "deny"
    break_glass: Flag = False


class Manual(Doc):
    """What a person does, and says so."""

    do: Template
    by: Name
    """The role that says so."""
    evidence: Template | None = None
    """What has to be said with it; None: nothing has to."""


class Notify(Doc):
    """A message to people; to the log for now."""

    to: Texts
    text: Template


class Retries(Doc):
    """Further tries after a known failure."""

    times: Number
    wait: Duration = 1.0


ShortRetries = Annotated[Retries, BeforeValidator(short_for("times"), json_schema_input_type=Number | Retries)]


class Step(Doc):
    """An action, a look, a gate, a person's work, a block or another runbook, with the state it is for."""

    name: Text
    id: Name | None = None
    action: Call | None = None
    approve: Approve | None = None
    notify: Notify | None = None
    manual: Manual | None = None
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    ways: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    together: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    runbook: Slug | None = None
    with_: dict[Name, Template] = Field({}, alias="with")
    """The other runbook's parameters."""
    part: SkipJsonSchema[Part | None] = None
    """The other runbook, as it was planned. The planner's, and never written."""

    hosts: Pattern | None = None
    for_each: Each | None = None
    when: Expression | None = None
    register_: Name | None = Field(None, alias="register")
    expect: Expression | None = None
    done_when: Probe | None = None
    within: Duration | None = None
    holds: Duration = 0.0
    timeout: Duration = 3600.0
    retries: ShortRetries | None = None
    idempotent: Flag = False
    changes: Flag | None = None
    """None: as the action says."""
    undo: Undo | None = None
    irreversible: Text | None = None
    interrupt: Literal["never"] | None = None
    batch: BatchSizes | None = None
    max_failures: BatchSize = "0"
    on_failure: Literal["stop", "rollback", "ask"] | None = None
    unreachable: GoOn | None = None
    exactly: Number | None = None
    at_least: Number | None = None
    become: User | None = None
    env: dict[EnvName, Template] = {}
    vars: dict[str, Any] = {}
    """For ``role``: handed to Ansible."""
    no_log: Flag = False
    accept: Accepted = {}

    @property
    def block(self) -> tuple[Step, ...] | None:
        """The inner steps, if it is a block or a runbook that was planned."""
        if self.part is not None:
            return self.part.runbook.steps
        return self.steps or self.ways or self.together

    @property
    def units(self) -> bool:
        """Whether it runs once for each host or item."""
        return self.hosts is not None or self.for_each is not None


class Param(Doc):
    """A parameter: typed, with or without a default."""

    type: Literal["text", "number", "flag", "duration", "choice", "host", "group", "secret"] = "text"
    """``secret``: the value is the name of one of the site's."""
    of: tuple[Text, ...] = ()
    default: FreeText | None = None
    help: FreeText = ""


class HostSet(Doc):
    """A name for hosts: a pattern, narrowed by a look at each (``where``)."""

    pattern: Pattern
    where: Probe | None = None
    unreachable: GoOn | None = None
    exactly: Number | None = None
    at_least: Number | None = None


class Objectives(Doc):
    """A promise; every run and every drill measures it."""

    rto: Duration | None = None
    rpo: Duration | None = None


class Runbook(Doc):
    """A versioned procedure."""

    runbook: Slug
    version: Version
    title: Annotated[
        dict[Language, Text],
        Field(min_length=1),
        BeforeValidator(short_for("en"), json_schema_input_type=Text | dict[Language, Text]),
    ]
    kind: Literal["emergency", "drill", "change", "inspection", "routine"]
    answers: Levels = ()
    window: Name | None = None
    """One of the site's; a change runs only while it is open."""
    owner: Text
    description: FreeText = ""
    objectives: Objectives = Objectives()
    params: dict[Name, Param] = {}
    hosts: dict[
        Name, Annotated[HostSet, BeforeValidator(short_for("pattern"), json_schema_input_type=Pattern | HostSet)]
    ] = {}
    locks: Templates = ()
    on_failure: Literal["stop", "rollback", "ask"] = "stop"
    rollback_within: Duration = 600.0
    never: tuple[Probe, ...] = ()
    guards: tuple[Probe, ...] = ()
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    verify: tuple[Probe, ...] = ()
    always: tuple[Step, ...] = ()
    accept: Accepted = {}


class Part(Doc):
    """Another runbook as a step of a plan: typed and found when it was planned, as its parent was."""

    runbook: Runbook
    digest: str
    """Of its content, as the author wrote it."""
    params: dict[str, Any]
    hosts: dict[str, tuple[str, ...]]
    secrets: dict[str, str] = {}
    """What the runbook calls them → the site's names."""


Step.model_rebuild()
Runbook.model_rebuild()
