"""``sql``: a query to PostgreSQL, by psql on the host (over the host's SSH) or on the node (``sql_via: direct``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from hisauto.actions.common import (
    NOT_STARTED,
    Fields,
    Word,
    decode,
    first_line,
    heredoc,
    never_began,
    read_json,
    spelled,
    unended,
)
from hisauto.errors import NotFound, UsageError
from hisauto.model.action import Action, Call, Observation, Place, Purpose, Typed
from hisauto.model.transport import Completed, Script

LOOK_LIMIT = 60
"""Seconds after which the server ends a look whose psql is gone: the engine's own time-out can't reach it there."""
CONNECT_LIMIT = 3
"""Seconds of silence per address while connecting."""
FLAGS = {"-h": "PGHOST", "-p": "PGPORT", "-U": "PGUSER", "-d": "PGDATABASE"}
"""psql's, for a person."""
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
ROWS = re.compile(r"\s*(select|values|table)\b", re.IGNORECASE)
FAILED = re.compile(r"(?:connection to server .*? failed|could not connect to server): (.*)")
"""libpq's word on an address that it could not connect to, new and old."""
TAG = re.compile(r"(?:^|\n)(?:INSERT 0|UPDATE|DELETE|MERGE) (\d+)$")
"""The last command tag."""
SPOKEN = re.compile(r"[^\s:]+:  |fe_sendauth:")
"""Behind that, a message of the server's own (FATAL, in its language), or that it wants a password: it is there."""
ERROR = re.compile(r"^(?:psql|ERROR|FATAL|PANIC):.*", re.MULTILINE)


def _one_host(value: Any) -> Any:
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise ValueError(f"expected one host, got {len(value)}")
        return value[0]
    return value


class SqlFields(Fields):
    """One statement; as a look, one ``select``, ``with … select`` or ``values``."""

    query: Annotated[Word, Field(min_length=1)]
    on: Annotated[str | None, BeforeValidator(_one_host)] = None
    """Host whose database is asked, while working at this place. None: the place's own."""
    database: Word | None = None


class Sql(Action):
    """Ask or tell PostgreSQL."""

    name: ClassVar[str] = "sql"
    fields: ClassVar[type[BaseModel]] = SqlFields
    scalar: ClassVar[str | None] = "query"
    can_look: ClassVar[bool] = True
    returns: ClassVar[Mapping[str, str]] = {
        "rc": "number: psql's exit code",
        "row": "the first row, by column",
        "rows": "list of rows",
        "rowcount": "number: rows returned, or touched",
        "refused": "flag: the other side refused the connection",
        "error": "text: what the server said",
    }
    secret_fields: ClassVar[frozenset[str]] = frozenset({"query"})
    default_expect: ClassVar[str | None] = "rc == 0"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        return purpose == "change"  # a look is made read-only

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, SqlFields)
        direct = _direct(place)
        quiet = "q" if _rows(fields, purpose) else ""  # else the command tag tells how many rows were touched
        psql = f"exec psql -XAt{quiet}w -v ON_ERROR_STOP=1 "
        script = Script(psql + heredoc(statements(fields.query, purpose)), env=_env(fields, place, direct=direct))
        return Call(script, on="node" if direct else "host")

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        """psql as one line. A look is read-only for the server, too."""
        assert isinstance(fields, SqlFields)
        direct = _direct(place)
        env = _env(fields, place, direct=direct)
        flags = [word for flag, name in FLAGS.items() if name in env for word in (flag, env[name])]
        before = {k: v for k, v in env.items() if k in ("PGPASSFILE", "PGCONNECT_TIMEOUT")}
        if purpose == "look":
            before["PGOPTIONS"] = "-c default_transaction_read_only=on"
        words = ["env", *(f"{k}={v}" for k, v in before.items()), "psql", "-X", *flags, "-c", fields.query.strip()]
        return Typed(spelled(words), on="node" if direct else "host")

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        assert isinstance(fields, SqlFields)
        unknown = unended(done) or never_began(done.rc, done, purpose)
        if unknown:
            return unknown
        if done.rc == 0:
            return _answer(done, _rows(fields, purpose))
        error = ERROR.search(decode(done.err))
        said = error[0] if error else first_line(done.err)
        if done.rc == 2:
            return _no_connection(done, said, purpose)
        if done.rc == 3:
            return Observation(True, {"rc": 3, "refused": False, "error": said}, why=said)
        if done.rc in NOT_STARTED:
            return Observation(True, {"rc": done.rc, "error": said}, why=said)
        return Observation(False, why=f"psql ended with {done.rc}: {said}")


def statements(query: str, purpose: Purpose) -> str:
    """psql's input. The query is in a dollar-quoted literal: psql reads no ``\\command`` and no ``:name`` in it."""
    text = query.strip().rstrip(";")
    if purpose == "look" or ROWS.match(text):
        # One JSON document in the server's own types. The newline ends a trailing comment.
        text = f"select coalesce(json_agg(row_to_json(hisauto)), '[]') from (\n{text}\n) hisauto"  # noqa: S608 — the author's
    tag = "$hisauto$"
    while tag in text:
        tag = tag[:-1] + "_$"
    sent = f"select {tag}{text}{tag} \\gexec"
    if purpose == "change":
        return sent  # one message to the server: one transaction, and what can't run in a block still can
    return f"begin read only;\nset local statement_timeout = '{LOOK_LIMIT}s';\n{sent}\ncommit;"


def _direct(place: Place) -> bool:
    via = place.vars.get("sql_via", "ssh")
    if via not in ("ssh", "direct"):
        raise UsageError(f"sql_via of {place.host} is '{via}'", hint="ssh (psql on the host) or direct (the node)")
    return via == "direct" or place.host is None


def _rows(fields: SqlFields, purpose: Purpose) -> bool:
    return purpose == "look" or ROWS.match(fields.query) is not None


def _env(fields: SqlFields, place: Place, *, direct: bool) -> dict[str, str]:
    """libpq's environment: never argv, where everyone on the host could read it."""
    target = fields.on or place.host
    if fields.on is not None and fields.on not in place.hostvars:
        raise NotFound(f"sql: on: there is no host '{fields.on}' in the inventory")
    about = place.hostvars[fields.on] if fields.on is not None else place.vars
    elsewhere = direct or target != place.host
    host = about.get("pg_host") or ((about.get("ansible_host") or target) if elsewhere else None)
    if target != place.host and (str(host).startswith("/") or str(host) in LOCAL):
        raise UsageError(
            f"pg_host of {target} is '{host}': from {place.host or 'the node'} that is another database",
            hint=f"give {target} a pg_host that other hosts can reach",
        )
    known = {
        "PGHOST": host,
        "PGPORT": about.get("pg_port"),
        "PGUSER": about.get("pg_user"),
        "PGDATABASE": fields.database or about.get("pg_database"),
        "PGPASSFILE": about.get("pg_passfile"),
    }
    fixed = {
        "LC_ALL": "C",
        "PGAPPNAME": "hisauto",
        "PGCLIENTENCODING": "UTF8",
        "PGCONNECT_TIMEOUT": str(CONNECT_LIMIT),
        "PGTZ": "UTC",
    }
    return {**{k: str(v) for k, v in known.items() if v is not None}, **fixed}


def _answer(done: Completed, rows: bool) -> Observation:
    if done.truncated:
        return Observation(False, why="the answer was longer than what is kept")
    out = decode(done.out)
    values: dict[str, Any] = {"rc": 0, "refused": False, "error": "", "rows": []}
    if rows:
        try:
            values["rows"] = read_json(out)
        except ValueError:
            return Observation(False, why=f"psql's answer isn't what was asked for: {out[:80]!r}")
        values["rowcount"] = len(values["rows"])
        if values["rows"]:
            values["row"] = values["rows"][0]
    else:
        touched = TAG.search(out)
        if touched:
            values["rowcount"] = int(touched[1])
    return Observation(True, values)


def _no_connection(done: Completed, said: str, purpose: Purpose) -> Observation:
    """psql's exit 2. A refusal and an answer are both evidence; silence is not, and a broken-off query is in doubt."""
    reasons = FAILED.findall(decode(done.err))
    values: dict[str, Any] = {"rc": 2, "error": said}
    if any(SPOKEN.match(r) for r in reasons):
        return Observation(True, {**values, "refused": False}, why=said)
    if reasons and all(r.strip() == "Connection refused" for r in reasons):
        return Observation(True, {**values, "refused": True}, why=said)
    if reasons and purpose == "change":
        return Observation(True, values, why=said)  # nobody answered, so nothing was sent
    return Observation(False, why=said or "the connection was lost")
