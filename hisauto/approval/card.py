"""The card: exactly what a person saw and said, in the bytes that they sign."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from hisauto.errors import Invalid

_SAFE = 2**53 - 1
Text = Annotated[str, Field(min_length=1)]


REPORTED_AT = "reported_at"
"""The fact on a request's card that says when the fault was reported: RTO runs from there."""

EVIDENCE = "evidence"
"""The fact on a card by which a person says that they have done something: what shows it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _exact(value: Any) -> Any:
    """Numbers that JSON can't hold exactly, like a PostgreSQL system identifier, as text: facts must be signable."""
    if isinstance(value, int | float) and not abs(value) <= _SAFE:
        return str(value)
    if isinstance(value, list | tuple):
        return [_exact(one) for one in value]
    if isinstance(value, dict):
        return {name: _exact(one) for name, one in value.items()}
    return value


class Fact(_Frozen):
    """Something the person was shown."""

    name: Text
    value: JsonValue = None
    source: Text
    """Where it is from, in words."""
    taken_at: str | None = None
    """When it was looked at, RFC 3339."""
    known: bool = True
    """False: it could not be told, and was shown so."""

    @field_validator("value", mode="before")
    @classmethod
    def _as_json_has_it(cls, value: Any) -> Any:
        return _exact(value)

    @model_validator(mode="after")
    def _unknown_has_no_value(self) -> Self:
        if not self.known and self.value is not None:
            raise ValueError("what is not known has no value")
        return self


class Card(_Frozen):
    """One word of one person on one run."""

    format: Literal["hisauto-card/1"] = "hisauto-card/1"
    what: Literal["run", "approve", "reject", "decide", "cancel", "enter"]
    run: Text
    plan_digest: Text
    gate: Text | None = None
    """The gate, or the step that is decided on."""
    question: str | None = None
    facts: tuple[Fact, ...] = Field(default=(), strict=False)
    answer: Text | None = None
    """The choice that is made; ``None`` where the question is yes or no."""
    break_glass: bool = False
    incident: Text | None = None
    level: int | None = Field(default=None, ge=1)
    """Of the incident; 1 is the gravest."""
    person: Text
    reason: Text | None = None
    at: Text
    """RFC 3339, by the clock of the person's machine."""
    nonce: Text
    """Random, so that no two cards are the same."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.gate is None) != (self.what in ("run", "cancel", "enter")):
            raise ValueError("approve, reject and decide name a gate or a step, run, cancel and enter none")
        if self.what in ("decide", "enter") and self.answer is None:
            raise ValueError(f"{self.what} has an answer")
        if self.answer is not None and self.what not in ("approve", "decide", "enter"):
            raise ValueError("only approve, decide and enter have an answer")
        if self.break_glass and (self.what != "approve" or self.incident is None or self.reason is None):
            raise ValueError("only an approval can break the glass, for an incident and with a reason")
        if (self.incident is None) != (self.level is None):
            raise ValueError("an incident has a level")
        return self

    def message(self) -> bytes:
        """The bytes that are signed: canonical JSON (RFC 8785). Raises ``Invalid``."""
        try:
            return rfc8785.dumps(self.model_dump())  # not mode="json": that replaces what is no text, and says nothing
        except (ValueError, RecursionError) as error:
            raise Invalid(f"the card holds something that can't be signed: {error}") from error

    @classmethod
    def make(cls, **fields: Any) -> Card:
        """A new card; facts may be dicts. Raises ``Invalid`` for what a card can't say."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise Invalid(f"not a card: {_first(error)}") from error

    @classmethod
    def parse(cls, message: bytes) -> Card:
        """The card of which these are the bytes. Raises ``Invalid`` if they are not exactly those of a card."""
        try:
            fields = json.loads(message.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Invalid("not a card: not JSON") from error
        if not isinstance(fields, dict):
            raise Invalid("not a card: not an object")
        card = cls.make(**fields)
        if card.message() != message:
            raise Invalid("not a card: not in canonical form")
        return card


def _first(error: ValidationError) -> str:
    """The first mistake and its place, without repeating what was read."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
