"""Where secrets are: each provider as it is, and what it says when it has none.

HashiCorp Vault is a stand-in that speaks its key-value store, version 2, over real HTTP; the keyring is keyring's own
interface over a backend in memory. Neither has been tried against the real one here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from hisauto.errors import HisautoError, NotFound, Refused, UsageError
from hisauto.site.site import Site

SECRET = "c4n4ry of the night"
TOKEN = "hvs.its-own-token"


def ask(root: Path, source: dict[str, Any]) -> str:
    (root / "hisauto.yml").write_text(json.dumps({"secrets": {"db": source}}))
    return Site.load(root).secret("db")


def kept(path: Path, text: str = f"{SECRET}\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


# ---------------------------------------------------------------- environment and files


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIS_DB", SECRET)
    assert ask(tmp_path, {"env": "HIS_DB"}) == SECRET
    monkeypatch.setenv("HIS_DB", "")
    with pytest.raises(NotFound, match="HIS_DB is not set"):
        ask(tmp_path, {"env": "HIS_DB"})


@pytest.mark.parametrize(("text", "value"), [("secret\n", "secret"), ("secret\r\n", "secret"), ("a\nb\n\n", "a\nb\n")])
def test_a_file_without_its_last_newline(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/db").write_bytes(text.encode())
    (tmp_path / "keys/db").chmod(0o400)
    assert ask(tmp_path, {"file": "keys/db"}) == value


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    kept(tmp_path / "db", mode=mode)
    with pytest.raises(Refused, match=f"read by others .mode {mode:04o}") as raised:
        ask(tmp_path, {"file": "db"})
    assert raised.value.hint == "chmod 600"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(kept(tmp_path / "db"), 12345, 12345)
    with pytest.raises(Refused, match="somebody else"):
        ask(tmp_path, {"file": "db"})


def test_other_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="can't be read: No such file"):
        ask(tmp_path, {"file": "db"})
    with pytest.raises(Refused, match="is not a file"):
        ask(tmp_path, {"file": "/dev/null"})
    (tmp_path / "db").write_bytes(b"\xff\xfe")
    (tmp_path / "db").chmod(0o600)
    with pytest.raises(Refused, match="not text"):
        ask(tmp_path, {"file": "db"})


# ---------------------------------------------------------------- Ansible's vault, by ansible-vault itself


@pytest.fixture(scope="module")
def vaulted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vault")
    kept(folder / "password", "open sesame\n")
    kept(folder / "other", "not this one\n")
    kept(folder / "open", "open sesame\n", 0o644)
    tool = [str(Path(sys.executable).parent / "ansible-vault")]
    options = ["--vault-password-file", str(folder / "password")]
    whole = kept(folder / "whole.yml", f"his: {{db: {{password: {SECRET}, port: 5432}}}}\nempty: ''\n")
    subprocess.run([*tool, "encrypt", *options, whole], check=True, capture_output=True)
    argv = [*tool, "encrypt_string", *options, "--stdin-name", "password"]
    one = subprocess.run(argv, input=SECRET.encode(), check=True, capture_output=True).stdout.decode()
    kept(folder / "values.yml", f"user: his\n{one}", 0o644)
    kept(folder / "broken.yml", "a: [\n")
    return folder


@pytest.mark.parametrize(("file", "key"), [("whole.yml", "his.db.password"), ("values.yml", "password")])
def test_a_value_of_a_vault(tmp_path: Path, vaulted: Path, file: str, key: str) -> None:
    source = {"file": str(vaulted / file), "key": key, "password_file": str(vaulted / "password")}
    assert ask(tmp_path, {"vault": source}) == SECRET


@pytest.mark.parametrize(
    ("file", "key", "password", "error", "said"),
    [
        ("whole.yml", "his.db.pass", "password", NotFound, "no text under 'his.db.pass'"),
        ("whole.yml", "his.db", "password", NotFound, "no text under 'his.db'"),
        ("whole.yml", "his.db.password", "other", Refused, "ansible-vault can't decrypt"),
        ("whole.yml", "his.db.password", "open", Refused, "read by others"),
        ("whole.yml", "his.db.password", "none", NotFound, "can't be read"),
        ("values.yml", "user", "password", Refused, "'user' in .* is not encrypted"),
        ("broken.yml", "a", "password", Refused, "is not YAML"),
        ("none.yml", "a", "password", NotFound, "can't be read"),
    ],
)
def test_a_vault_that_does_not_have_it(
    tmp_path: Path, vaulted: Path, file: str, key: str, password: str, error: type[HisautoError], said: str
) -> None:
    source = {"file": str(vaulted / file), "key": key, "password_file": str(vaulted / password)}
    with pytest.raises(error, match=said) as raised:
        ask(tmp_path, {"vault": source})
    assert SECRET not in str(raised.value)


# ---------------------------------------------------------------- the keyring


class Memory(KeyringBackend):
    """A keyring of this process."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries = {("his", "app"): SECRET}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


@pytest.fixture
def backend() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("backend")
def test_the_keyring(tmp_path: Path) -> None:
    assert ask(tmp_path, {"keyring": {"service": "his", "user": "app"}}) == SECRET
    with pytest.raises(NotFound, match="has no 'his' for nobody"):
        ask(tmp_path, {"keyring": {"service": "his", "user": "nobody"}})
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    with pytest.raises(HisautoError, match="keyring does not answer"):
        ask(tmp_path, {"keyring": {"service": "his", "user": "app"}})


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("keyring", {"keyring": {"service": "a", "user": "b"}}),
        ("hvac", {"hvac": {"url": "https://v", "path": "a", "field": "b", "token": {"env": "T"}}}),
    ],
)
def test_a_package_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"the Python package {name} is not installed") as raised:
        ask(tmp_path, source)
    assert f"hisauto[{name}]" in (raised.value.hint or "")


# ---------------------------------------------------------------- HashiCorp Vault, a stand-in


class KeyValueStore(BaseHTTPRequestHandler):
    """The answers of Vault's key-value store, version 2, as its API documents them."""

    def do_GET(self) -> None:
        if self.headers.get("X-Vault-Token") != TOKEN:
            self.say(403, {"errors": ["permission denied"]})
            return
        match self.path.partition("?")[0]:
            case "/v1/secret/data/his/db":
                self.say(200, {"data": {"data": {"password": SECRET, "port": 5432}, "metadata": {"version": 3}}})
            case "/v1/kv/data/his/db":
                self.say(200, {"data": {"data": {"password": f"{SECRET} of kv"}, "metadata": {"version": 1}}})
            case "/v1/secret/data/his/gone":
                self.say(404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-01T00:00:00Z"}}})
            case "/v1/secret/data/his/sealed":
                self.say(503, {"errors": ["Vault is sealed"]})
            case "/v1/secret/data/his/odd":
                self.say(200, {"data": [SECRET]})
            case "/v1/secret/data/his/elsewhere":
                self.send_response(307)
                self.send_header("Location", "/v1/secret/data/his/db")
                self.end_headers()
            case _:
                self.say(404, {"errors": []})

    def say(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def vault() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), KeyValueStore)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_hashicorp_vault(tmp_path: Path, vault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # not used
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    place = {"url": vault, "path": "his/db", "field": "password", "token": {"env": "VAULT_TOKEN"}}
    assert ask(tmp_path, {"hvac": place}) == SECRET
    kept(tmp_path / "token", f"{TOKEN}\n")
    assert ask(tmp_path, {"hvac": {**place, "mount": "kv", "token": {"file": "token"}}}) == f"{SECRET} of kv"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"path": "his/nothing"}, NotFound, "there is nothing there"),
        ({"path": "his/gone"}, NotFound, "there is nothing there"),
        ({"field": "user"}, NotFound, "no text 'user'"),
        ({"field": "port"}, NotFound, "no text 'port'"),
        ({"path": "his/sealed"}, HisautoError, "VaultDown"),
        ({"path": "his/odd"}, HisautoError, "no answer that can be read"),
        ({"path": "his/elsewhere"}, HisautoError, "secret/his/elsewhere"),
        ({"token": {"env": "NO_TOKEN"}}, NotFound, "NO_TOKEN is not set"),
        ({"token": {"file": "wrong"}}, Refused, "may not read it"),
        ({"url": "http://127.0.0.1:9"}, HisautoError, "ConnectionError"),
    ],
)
def test_a_hashicorp_vault_that_does_not_have_it(
    tmp_path: Path, vault: str, change: dict[str, Any], error: type[HisautoError], said: str
) -> None:
    kept(tmp_path / "token", TOKEN)
    kept(tmp_path / "wrong", "hvs.another-token")
    place = {"url": vault, "path": "his/db", "field": "password", "token": {"file": "token"}, **change}
    with pytest.raises(error, match=said) as raised:
        ask(tmp_path, {"hvac": place})
    assert not any(word in str(raised.value) for word in (SECRET, TOKEN, "hvs."))
