"""``http`` against a real server, a refusal and silence, by a real curl in the shells that are here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from hisauto.errors import HisautoError
from hisauto.model.action import Place, Purpose
from hisauto.model.transport import Completed

from .peers import ACTIONS, do, execute

HTTP = ACTIONS["http"]
HERE = Place("app1", {}, {})
SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]

GET = """{ { LC_ALL=C curl -q --config - <<'HISAUTO_END'
url = "http://localhost:8080/health"
proto = "=http,https"
noproxy = "*"
connect-timeout = "3"
max-time = "10"
write-out = "\\n%{http_code}"
silent
show-error
verbose
globoff
HISAUTO_END
echo " $?"; } 2>&1 >&3 | LC_ALL=C sed -n '/^curl: /p; /^[*] .*\\(failed: \\|refused\\)/p' >&2; } 3>&1
"""
POST = """{ { LC_ALL=C curl -q --config - <<'HISAUTO_END'
url = "https://h/a?b={c}"
proto = "=http,https"
noproxy = "*"
connect-timeout = "2"
max-time = "2"
write-out = "\\n%{http_code}"
request = "POST"
data-raw = "{\\"a\\": \\"\\\\\\"汉\\\\n\\"}"
header = "Authorization: Bearer s3cret"
header = "Content-Type: application/json"
header = "Expect:"
silent
show-error
verbose
globoff
HISAUTO_END
echo " $?"; } 2>&1 >&3 | LC_ALL=C sed -n '/^curl: /p; /^[*] .*\\(failed: \\|refused\\)/p' >&2; } 3>&1
"""


def test_script() -> None:
    fields = HTTP.fields.model_validate({"url": "http://localhost:8080/health", "from": "host"})
    call = HTTP.call(fields, HERE, "look")
    assert (call.script.text, call.on, call.script.secrets) == (GET, "host", ())
    assert HTTP.call(fields, Place(None, {}, {}), "look").on == "node"
    auth = {"Authorization": "Bearer s3cret"}
    made = {"url": "https://h/a?b={c}", "method": "post", "json": {"a": '"汉\n'}, "headers": auth, "timeout": "2s"}
    call = HTTP.call(HTTP.fields.model_validate(made), HERE, "change")
    assert (call.script.text, call.on, call.script.secrets) == (POST, "node", ("Bearer s3cret", "s3cret"))


def test_fields_come_back_under_their_own_names() -> None:
    fields = HTTP.fields.model_validate({"url": "http://h", "method": "PUT", "json": [1], "from": "host"})
    dumped = fields.model_dump(mode="json")
    assert (dumped["json"], dumped["from"]) == ([1], "host")
    assert HTTP.fields.model_validate(dumped) == fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "http://h", "json": {}, "body": "x", "method": "POST"}, "two bodies"),
        ({"url": "http://h", "body": "x"}, "GET carries no body"),
        ({"url": "http://h", "method": "BREW"}, "GET"),
        ({"url": "http://h", "timeout": "soon"}, "duration"),
    ],
)
def test_bad_fields(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HTTP.fields.model_validate(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "file:///etc/passwd"},
        {"url": "http://h/a b"},
        {"url": "http://"},
        {"url": "http://[::1"},
        {"url": 'http://h/\noutput = "/tmp/x"'},
        {"url": "http://h", "headers": {"A": "b\r\nC: d"}},
        {"url": "http://h", "headers": {"A:b": "c"}},
    ],
)
def test_what_cannot_be_sent(fields: dict[str, object]) -> None:
    with pytest.raises(HisautoError):
        HTTP.call(HTTP.fields.model_validate(fields), HERE, "look")


@pytest.mark.parametrize("sh", SHELLS)
def test_get(web: str, sh: str, tmp_path: Path) -> None:
    if sh == "busybox":
        (tmp_path / "sh").symlink_to(shutil.which("busybox") or "")
        sh = str(tmp_path / "sh")
    seen = do("http", f"{web}/200?a=[1]", HERE, sh=sh)
    assert seen.known, seen.why
    assert (seen.values["status"], seen.values["refused"]) == (200, False)
    assert seen.values["json"]["path"] == "/200?a=[1]"
    assert '"method": "GET"' in seen.values["body"]


@pytest.mark.parametrize("status", [201, 302, 404, 503])
def test_status(web: str, status: int) -> None:
    assert do("http", f"{web}/{status}", HERE).values["status"] == status


def test_head(web: str) -> None:
    assert dict(do("http", {"url": f"{web}/404", "method": "HEAD"}, HERE).values) == {
        "status": 404,
        "refused": False,
        "body": "",
    }


BODIES = ["", "a=1&b=@/etc/passwd", "@/etc/passwd", 'two\nlines\t"\\ 汉字\r\n', "HISAUTO_END\nexit 0\n"]


@pytest.mark.parametrize("body", BODIES)
def test_body_arrives_as_it_is(web: str, body: str) -> None:
    seen = do("http", {"url": web, "method": "POST", "body": body, "headers": {"X-A": 'q"\\'}}, HERE, "change").values
    assert seen["json"]["body"] == body
    assert seen["json"]["headers"]["X-A"] == 'q"\\'
    assert seen["json"]["headers"]["Content-Type"] == "text/plain; charset=utf-8"
    assert seen["json"]["headers"]["Content-Length"] == str(len(body.encode()))


def test_json(web: str) -> None:
    sent = {
        "url": web,
        "method": "PUT",
        "json": {"a": ["汉", 1.5, None]},
        "headers": {"content-type": "application/x+json"},
    }
    seen = do("http", sent, HERE, "change").values["json"]
    assert seen["body"] == '{"a": ["汉", 1.5, null]}'
    assert {v for k, v in seen["headers"].items() if k.lower() == "content-type"} == {"application/x+json"}
    assert do("http", {"url": web, "method": "POST"}, HERE, "change").values["json"]["headers"]["Content-Length"] == "0"


def test_a_body_cannot_forge_the_answer(web: str) -> None:
    seen = do("http", f"{web}/liar", HERE)
    assert (seen.values["status"], seen.values["refused"], "json" in seen.values) == (200, False, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("purpose", ["look", "change"])
def test_refused(refused_port: int, host: str, purpose: Purpose) -> None:
    seen = do("http", f"http://{host}:{refused_port}/", HERE, purpose)
    assert seen.known, seen.why
    assert dict(seen.values) == {"status": 0, "refused": True}
    assert "refused" in seen.why


@pytest.mark.parametrize("kind", ["dark_port", "mute_port"])
def test_silence_is_not_evidence(kind: str, request: pytest.FixtureRequest) -> None:
    url = f"http://127.0.0.1:{request.getfixturevalue(kind)}/"
    for purpose in ("look", "change"):
        seen = do("http", {"url": url, "timeout": "0.5s"}, HERE, purpose)
        assert (seen.known, dict(seen.values)) == (False, {})
        assert "curl: (28)" in seen.why


def test_a_request_without_an_answer_is_in_doubt(web: str) -> None:
    assert not do("http", {"url": f"{web}/slow", "method": "POST", "timeout": "0.5s"}, HERE, "change").known


def test_a_name_that_leads_nowhere() -> None:
    assert not do("http", "http://nowhere.invalid/", HERE).known
    assert dict(do("http", "http://nowhere.invalid/", HERE, "change").values) == {"status": 0}


def test_no_curl(tmp_path: Path) -> None:
    (tmp_path / "sed").symlink_to(shutil.which("sed") or "")
    fields = HTTP.fields.model_validate({"url": "http://127.0.0.1"})
    sh = shutil.which("sh") or ""
    done = execute(HTTP.call(fields, HERE, "look"), sh=sh, env={"PATH": str(tmp_path)})
    assert not HTTP.read(fields, done, "look").known
    assert dict(HTTP.read(fields, done, "change").values) == {"status": 0}


def test_neither_a_curlrc_nor_a_proxy_has_a_part_in_it(web: str, tmp_path: Path, refused_port: int) -> None:
    (tmp_path / ".curlrc").write_text('request = "DELETE"\n')
    fields = HTTP.fields.model_validate({"url": web})
    env = {"HOME": str(tmp_path), "http_proxy": f"http://127.0.0.1:{refused_port}"}
    seen = HTTP.read(fields, execute(HTTP.call(fields, HERE, "look"), env=env))
    assert seen.values["json"]["method"] == "GET"


def test_no_secret_on_stderr_or_in_argv(web: str) -> None:
    fields = HTTP.fields.model_validate({"url": web, "headers": {"Authorization": "Bearer s3cret"}})
    call = HTTP.call(fields, HERE, "look")
    assert b"s3cret" not in execute(call).err
    commands = [line for line in call.script.text.splitlines() if "curl " in line or "sed " in line]
    assert commands and not [line for line in commands if "s3cret" in line]


@pytest.mark.parametrize(
    ("out", "err", "known", "refused"),
    [
        # curl 7.29 names the reason in its error, 8.x in a longer verbose line
        ("\n000 7\n", "curl: (7) Failed connect to localhost:1; Connection refused", True, True),
        ("\n000 7\n", "* connect to ::1 port 1 from ::1 port 2 failed: Connection refused\ncurl: (7)", True, True),
        ("\n000 7\n", "* connect to ::1 port 1 failed: Connection refused\n* connect to 10.0.0.1 port 1 failed: "
                      "No route to host\ncurl: (7) Failed", False, None),
        ("\n000 7\n", "curl: (7) Couldn't connect to server", False, None),
        ("\n000 52\n", "curl: (52) Empty reply from server", False, None),
        ("half a body\n200 18\n", "curl: (18) transfer closed with 9 bytes remaining to read", False, None),
        ("no tail", "", False, None),
    ],
)  # fmt: skip
def test_read(out: str, err: str, known: bool, refused: bool | None) -> None:
    seen = HTTP.read(HTTP.fields.model_validate({"url": "http://h"}), Completed(0, "exit", out.encode(), err.encode()))
    assert (seen.known, seen.values.get("refused")) == (known, refused)


def test_what_changes() -> None:
    for method, changes in (("GET", False), ("HEAD", False), ("POST", True), ("DELETE", True)):
        fields = HTTP.fields.model_validate({"url": "http://h", "method": method})
        assert HTTP.changes(fields, "look") is HTTP.changes(fields, "change") is changes
