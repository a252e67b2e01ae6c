"""``http``: one request, by curl on the node or on the host. No redirects, no proxies, no ``~/.curlrc``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from hisauto.actions.common import (
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
from hisauto.errors import UsageError
from hisauto.model.action import Action, Call, Observation, Place, Purpose, Typed
from hisauto.model.transport import Completed, Script
from hisauto.redact import mask, secrets_in
from hisauto.runbook.types import Duration

READ_ONLY = frozenset({"GET", "HEAD"})
CONNECT_LIMIT = 3.0
"""Seconds of silence while connecting."""
TAIL = re.compile(rb"(?:\n(\d{3}))? (\d+)\n?\Z")
"""Behind the body: curl's status, if it came that far, and its exit code."""
NOTHING_SENT = frozenset({1, 2, 3, 4, 5, 6, 7, 35, 51, 53, 54, 58, 59, 60, 66, 77, 83, 90, 91})
"""curl's exit codes from before the request: options, URL, name, connection, TLS handshake and its certificates."""
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"})

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class HttpFields(Fields):
    """A request. ``json`` is sent as JSON, ``body`` as it is."""

    url: Word
    method: Annotated[Method, BeforeValidator(_upper)] = "GET"
    headers: dict[str, Word] = Field({})
    json_: Any = Field(None, alias="json")
    body: Word | None = None
    from_: Literal["host", "node"] = Field("node", alias="from")
    timeout: Duration = 10.0

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.json_ is not None and self.body is not None:
            raise ValueError("json and body are two bodies: give one")
        if self.method in READ_ONLY and (self.json_ is not None or self.body is not None):
            raise ValueError(f"{self.method} carries no body")
        return self


class Http(Action):
    """Send an HTTP request."""

    name: ClassVar[str] = "http"
    fields: ClassVar[type[BaseModel]] = HttpFields
    scalar: ClassVar[str | None] = "url"
    can_look: ClassVar[bool] = True
    returns: ClassVar[Mapping[str, str]] = {
        "status": "number: the HTTP status; 0 when it is known that there was no answer",
        "body": "text, without its trailing newlines",
        "json": "the body parsed, if it is JSON",
        "refused": "flag: the other side refused the connection",
    }
    secret_fields: ClassVar[frozenset[str]] = frozenset({"url", "headers", "json", "body"})
    default_expect: ClassVar[str | None] = "status >= 200 and status < 300"

    def changes(self, fields: BaseModel, purpose: Purpose = "change") -> bool:
        assert isinstance(fields, HttpFields)
        return fields.method not in READ_ONLY

    def call(self, fields: BaseModel, place: Place, purpose: Purpose) -> Call:
        assert isinstance(fields, HttpFields)
        text = (
            # The inner group's stderr goes to sed, which keeps what curl says of connections and drops the headers.
            f"{{ {{ LC_ALL=C curl -q --config - {heredoc(config(fields))}"
            "echo \" $?\"; } 2>&1 >&3 | LC_ALL=C sed -n '/^curl: /p; /^[*] .*\\(failed: \\|refused\\)/p' >&2; } 3>&1\n"
        )
        script = Script(text, secrets=_secrets(fields))
        return Call(script, on=_from(fields, place))

    def by_hand(self, fields: BaseModel, place: Place, purpose: Purpose) -> Typed:
        assert isinstance(fields, HttpFields)
        config(fields)  # refuses what can't be sent
        words = ["curl", "-q", "-sSg", "--noproxy", "*", "-m", f"{fields.timeout:g}", "-w", "\\n%{http_code}\\n"]
        words += {"GET": [], "HEAD": ["-I"]}.get(fields.method, ["-X", fields.method])
        headers = dict(fields.headers)
        if fields.json_ is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        words += [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        body = json.dumps(fields.json_, ensure_ascii=False) if fields.json_ is not None else fields.body
        words += ["--data-raw", body] if body is not None else []
        told = [mask(word, _secrets(fields)) for word in (*words, fields.url)]
        return Typed(spelled(told), on=_from(fields, place))

    def read(self, fields: BaseModel, done: Completed, purpose: Purpose = "look") -> Observation:
        unknown = unended(done)
        if unknown:
            return unknown
        tail = TAIL.search(done.out)
        if tail is None or done.truncated:
            return Observation(False, why="the answer was longer than what is kept")
        rc, status = int(tail[2]), int(tail[1] or 0)
        unknown = never_began(rc, done, purpose)
        if unknown:
            return unknown
        if rc == 0:
            return Observation(True, {"status": status, "refused": False, **_body(done.out[: tail.start()])})
        said = first_line(b"\n".join(line for line in done.err.splitlines() if line.startswith(b"curl: ")))
        why = said or f"curl ended with {rc}"
        if rc == 7 and _refused(decode(done.err)):
            return Observation(True, {"status": 0, "refused": True}, why=f"{why} (connection refused)")
        if purpose == "change" and (rc in NOTHING_SENT or rc in (126, 127)):
            return Observation(True, {"status": 0}, why=why)
        return Observation(False, why=why)


def _secrets(fields: HttpFields) -> tuple[str, ...]:
    secret = secrets_in(fields.headers)
    password = urlsplit(fields.url).password
    return (*secret, password) if password else secret


def _from(fields: HttpFields, place: Place) -> Literal["host", "node"]:
    return "host" if fields.from_ == "host" and place.host is not None else "node"


def config(fields: HttpFields) -> str:
    """curl's configuration: read from stdin, so that URL, headers and body are in no process list.

    Raises ``UsageError`` for a URL or header that can't be.
    """
    try:
        parts = urlsplit(fields.url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known or re.search(r"[\s\x00-\x1f]", fields.url):
        raise UsageError(f"http: '{fields.url}' is not a URL", hint="expected http:// or https://, a host, no spaces")
    lines = [("url", fields.url), ("proto", "=http,https"), ("noproxy", "*")]
    lines += [("connect-timeout", f"{min(CONNECT_LIMIT, fields.timeout):g}"), ("max-time", f"{fields.timeout:g}")]
    lines += [("write-out", "\n%{http_code}")]
    if fields.method == "HEAD":
        lines += [("output", "/dev/null")]
    elif fields.method != "GET":
        lines += [("request", fields.method)]
    headers = dict(fields.headers)
    sent = json.dumps(fields.json_, ensure_ascii=False) if fields.json_ is not None else fields.body
    if sent is not None or fields.method in ("POST", "PUT", "PATCH"):
        if not any(name.lower() == "content-type" for name in headers):
            kind = "application/json" if fields.json_ is not None else "text/plain; charset=utf-8"
            headers["Content-Type"] = kind
        headers["Expect"] = ""  # no 100-continue: half of what answers on a hospital's network doesn't know it
        lines += [("data-raw", sent or "")]
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or re.search(r"[\r\n\x00]", value):
            raise UsageError(f"http: the header '{name}' can't be sent", hint="one line, and a name without spaces")
        lines += [("header", f"{name}: {value}".rstrip())]
    flags = ["silent", "show-error", "verbose", "globoff", *(["head"] if fields.method == "HEAD" else [])]
    return "\n".join([f'{name} = "{value.translate(ESCAPES)}"' for name, value in lines] + flags)


def _body(raw: bytes) -> dict[str, Any]:
    text = decode(raw)
    try:
        return {"body": text, "json": read_json(text)}
    except ValueError:
        return {"body": text}


def _refused(err: str) -> bool:
    """Every address that was tried said no. curl names the reason in verbose lines only (old ones: in the error)."""
    reasons = [line for line in err.splitlines() if line.startswith("* ")] or err.splitlines()
    return bool(reasons) and all("Connection refused" in line for line in reasons)
