"""Signing with real keys: in files, encrypted, in an agent; and what is said when it can't be."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hisauto.approval import sshsig
from hisauto.approval.signing import SigningKey, find_key, sign
from hisauto.errors import BadSignature, HisautoError, NotFound, UsageError

MESSAGE = b'{"what":"approve"}'


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it prints its environment once it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield socket
        process.terminate()


def make(path: Path, passphrase: str = "") -> str:
    """A new key pair; returns the public key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path], check=True)
    return Path(f"{path}.pub").read_text()


def test_a_key_in_a_file_signs(tmp_path: Path) -> None:
    public = make(tmp_path / "key")
    signature = sign(MESSAGE, tmp_path / "key")
    sshsig.verify(signature, MESSAGE, public)
    with pytest.raises(BadSignature):
        sshsig.verify(sign(MESSAGE, tmp_path / "key", "git"), MESSAGE, public)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.pub"]


@pytest.mark.usefixtures("agent")
def test_a_key_in_the_agent_signs_without_its_file(tmp_path: Path) -> None:
    public = make(tmp_path / "key")
    subprocess.run(["ssh-add", "-q", tmp_path / "key"], check=True)
    (tmp_path / "key").unlink()
    found = find_key([tmp_path / "key"], [public])
    assert found == SigningKey(str(sshsig.parse_public_key(public)))
    sshsig.verify(sign(MESSAGE, found), MESSAGE, public)
    sshsig.verify(sign(MESSAGE, tmp_path / "key.pub"), MESSAGE, public)
    subprocess.run(["ssh-add", "-q", "-D"], check=True)
    with pytest.raises(UsageError, match="the agent can't sign"):
        sign(MESSAGE, found)


def test_the_agent_comes_before_an_encrypted_file(tmp_path: Path, agent: Path) -> None:
    public = make(tmp_path / "key")
    subprocess.run(["ssh-add", "-q", tmp_path / "key"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a secret", "-f", tmp_path / "key"], check=True)
    sshsig.verify(sign(MESSAGE, find_key([tmp_path / "key"], [public])), MESSAGE, public)
    assert agent.exists()


def test_the_file_that_belongs_to_the_person_is_found(tmp_path: Path) -> None:
    make(tmp_path / "other")
    public = make(tmp_path / "key", "a secret")
    (tmp_path / "notes").write_text("no key")
    candidates = [tmp_path / name for name in ("missing", "notes", "other", "key")]
    assert find_key(candidates, [public]) == SigningKey(public, tmp_path / "key")
    (tmp_path / "key.pub").unlink()
    assert find_key(candidates, [public]).path == tmp_path / "key", "an encrypted file tells its public key by itself"


def test_no_key_of_this_person(tmp_path: Path) -> None:
    registered = make(tmp_path / "gone")
    make(tmp_path / "other")
    with pytest.raises(NotFound, match=r"other$") as raised:
        find_key([tmp_path / "other"], [registered])
    assert "ssh-add" in str(raised.value.hint)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no key file"):
        sign(MESSAGE, tmp_path / "none")


def test_an_encrypted_key_without_a_terminal(tmp_path: Path) -> None:
    make(tmp_path / "key", "a secret")
    with pytest.raises(UsageError, match="encrypted") as raised:
        sign(MESSAGE, tmp_path / "key")
    assert raised.value.hint == f"ssh-add {tmp_path / 'key'}, then try again"


CHILD = """
import fcntl, os, pathlib, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
from hisauto.approval.signing import sign
from hisauto.errors import UsageError
try:
    print(sign(b"card", pathlib.Path(sys.argv[1])))
except UsageError as error:
    print("refused:", error)
"""


def on_a_terminal(key: Path, *, typed: bytes | None) -> str:
    """What a terminal shows while it signs; with ``typed`` None standard input is not that terminal."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, key],
        stdin=theirs if typed is not None else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                more = os.read(ours, 4096)
            except OSError:  # the other end is closed: how a Linux terminal says that it is over
                break
            shown += more
            if typed and b"passphrase" in shown:
                os.write(ours, typed)
                typed = None
        else:
            pytest.fail(f"it still waits: {shown!r}")
        process.wait(timeout=10)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_an_encrypted_key_asks_on_the_terminal(tmp_path: Path) -> None:
    public = make(tmp_path / "key", "a secret")
    shown = on_a_terminal(tmp_path / "key", typed=b"a secret\n")
    assert "a secret" not in shown
    signature = shown[shown.index("-----BEGIN") :].removesuffix("\n")
    sshsig.verify(signature, b"card", public)


def test_a_wrong_passphrase(tmp_path: Path) -> None:
    make(tmp_path / "key", "a secret")
    assert "refused: the key in" in on_a_terminal(tmp_path / "key", typed=b"another\n")


def test_a_background_job_does_not_ask_on_a_terminal_that_is_not_its_own(tmp_path: Path) -> None:
    make(tmp_path / "key", "a secret")
    shown = on_a_terminal(tmp_path / "key", typed=None)
    assert shown.startswith("refused: the key in")


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    make(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        sign(MESSAGE, tmp_path / "key")


def test_what_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(UsageError, match="can't sign"):
        sign(MESSAGE, tmp_path / "key")


def test_a_machine_without_openssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "key")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HisautoError, match="ssh-keygen is not installed"):
        sign(MESSAGE, tmp_path / "key")
