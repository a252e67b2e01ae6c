"""known_hosts(5), checked against what ssh-keygen itself writes and finds."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.errors import HisautoError, HostKeyMismatch, Unreachable
from hisauto.transports.known_hosts import KnownHosts, fingerprint

from .places import keygen

KEY = b"\0\0\0\x0bssh-ed25519" + bytes(36)
OTHER = b"\0\0\0\x0bssh-ed25519" + bytes(35) + b"x"


def known(folder: Path, *lines: str) -> KnownHosts:
    (folder / "known").write_text("".join(f"{line}\n" for line in lines))
    return KnownHosts([folder / "known"])


def line(names: str, blob: bytes = KEY, marker: str = "") -> str:
    return f"{marker}{names} ssh-ed25519 {base64.b64encode(blob).decode()} a comment"


@pytest.mark.parametrize(
    ("names", "address", "port", "found"),
    [
        ("db01", "db01", 22, True),
        ("db01", "DB01", 22, True),
        ("db01", "db01", 2222, False),
        ("[db01]:2222", "db01", 2222, True),
        ("[db01]:2222", "db01", 22, False),
        ("a,db01,b", "db01", 22, True),
        ("db0", "db01", 22, False),
        ("db*", "db01", 22, True),
        ("db??", "db01", 22, True),
        ("db*,!db01", "db01", 22, False),
        ("!db01,*", "db02", 22, True),
        ("[10.0.0.*]:2222", "10.0.0.7", 2222, True),
        ("db[01]1", "db01", 22, False),  # no character classes in known_hosts
        ("|1|bad", "db01", 22, False),
        ("|1|!|!", "db01", 22, False),
        ("fe80::1", "fe80::1", 22, True),
    ],
)
def test_names(tmp_path: Path, names: str, address: str, port: int, found: bool) -> None:
    hosts = known(tmp_path, "# a comment", "", "too short", line("elsewhere", OTHER), line(names))
    assert hosts.kinds(address, port) == (("ssh-ed25519",) if found else ())
    if found:
        hosts.check(address, port, "ssh-ed25519", KEY)
        with pytest.raises(HostKeyMismatch):
            hosts.check(address, port, "ssh-ed25519", OTHER)
    else:
        with pytest.raises(Unreachable) as caught:
            hosts.check(address, port, "ssh-ed25519", KEY)
        assert not isinstance(caught.value, HostKeyMismatch)


def test_several_keys_of_a_kind(tmp_path: Path) -> None:
    hosts = known(tmp_path, line("db01", OTHER), line("db01", KEY))
    hosts.check("db01", 22, "ssh-ed25519", KEY)
    hosts.check("db01", 22, "ssh-ed25519", OTHER)


@pytest.mark.parametrize("marker", ["@cert-authority ", "@unheard-of "])
def test_markers_vouch_for_nothing(tmp_path: Path, marker: str) -> None:
    with pytest.raises(Unreachable):
        known(tmp_path, line("*", KEY, marker)).check("db01", 22, "ssh-ed25519", KEY)


def test_revoked(tmp_path: Path) -> None:
    hosts = known(tmp_path, line("db01"), line("*", KEY, "@revoked "))
    with pytest.raises(HostKeyMismatch, match="revoked"):
        hosts.check("db01", 22, "ssh-ed25519", KEY)


@given(st.text(max_size=300))
def test_anything_can_be_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(HisautoError):
        KnownHosts([path]).check("db01", 22, "ssh-ed25519", KEY)


def test_as_ssh_keygen_does(tmp_path: Path) -> None:
    key = keygen(tmp_path / "key")
    kind, blob, *_ = key.with_suffix(".pub").read_text().split()
    (tmp_path / "known").write_text(f"db01,[10.0.0.1]:2222 {kind} {blob}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "known"], check=True, capture_output=True)
    hosts, raw = KnownHosts([tmp_path / "known"]), base64.b64decode(blob)
    hosts.check("db01", 22, kind, raw)
    hosts.check("10.0.0.1", 2222, kind, raw)
    shown = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()[1]
    assert fingerprint(raw) == shown
