"""SSHSIG both ways against the real ssh-keygen, and everything that has to be refused."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest

from hisauto.approval.sshsig import parse_public_key, verify
from hisauto.errors import BadSignature, Invalid

from .keys import EcdsaSecurityKey, Key, SecurityKey, armor, string

MESSAGE = b'{"what":"approve"}\n\x00\xff'
KEY = Key(7)
SIGNATURE = KEY.sign(MESSAGE)
KINDS = [("ed25519", None), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048), ("rsa", 3072)]


def keygen(folder: Path, kind: str = "ed25519", bits: int | None = None) -> Path:
    path = folder / f"{kind}-{bits}"
    size = ["-b", str(bits)] if bits else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "a comment", "-f", path], check=True)
    return path


def openssh_sign(path: Path, namespace: str = "hisauto", *options: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", path, *options],
        input=MESSAGE,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def openssh_verifies(folder: Path, public: str, signature: str, message: bytes = MESSAGE) -> bool:
    (folder / "allowed").write_text(f"dba-1 {public}\n")
    (folder / "signature").write_text(signature)
    done = subprocess.run(
        [
            "ssh-keygen",
            "-Y",
            "verify",
            "-n",
            "hisauto",
            "-I",
            "dba-1",
            "-f",
            folder / "allowed",
            "-s",
            folder / "signature",
        ],
        input=message,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_what_openssh_signs_holds_here(tmp_path: Path, kind: str, bits: int | None) -> None:
    path = keygen(tmp_path, kind, bits)
    public = Path(f"{path}.pub").read_text()
    for options in [(), ("-O", "hashalg=sha256")]:
        signature = openssh_sign(path, "hisauto", *options)
        verify(signature, MESSAGE, public)
        with pytest.raises(BadSignature, match="does not match"):
            verify(signature, MESSAGE + b" ", public)


@pytest.mark.parametrize("key", [Key(7), SecurityKey(7), EcdsaSecurityKey(7)], ids=lambda key: type(key).__name__)
@pytest.mark.parametrize("algorithm", [b"sha256", b"sha512"])
def test_what_the_tests_sign_holds_here_and_with_openssh(tmp_path: Path, key: Key, algorithm: bytes) -> None:
    signature = key.sign(MESSAGE, algorithm=algorithm)
    verify(signature, MESSAGE, key.public)
    assert openssh_verifies(tmp_path, key.public, signature)
    assert not openssh_verifies(tmp_path, key.public, signature, MESSAGE + b" ")
    with pytest.raises(BadSignature, match="does not match"):
        verify(signature, MESSAGE + b" ", key.public)


@pytest.mark.parametrize("key", [SecurityKey(7), EcdsaSecurityKey(7)], ids=lambda key: type(key).__name__)
def test_a_security_key_must_have_been_touched(key: SecurityKey) -> None:
    key.flags = 4
    with pytest.raises(BadSignature, match="touched"):
        verify(key.sign(MESSAGE), MESSAGE, key.public)


def test_a_signature_for_something_else_is_refused(tmp_path: Path) -> None:
    path = keygen(tmp_path)
    with pytest.raises(BadSignature, match="'git'"):
        verify(openssh_sign(path, "git"), MESSAGE, Path(f"{path}.pub").read_text())


def test_a_signature_by_another_key_is_refused() -> None:
    with pytest.raises(BadSignature, match="another key than SHA256:"):
        verify(SIGNATURE, MESSAGE, Key(8).public)


def test_a_legacy_rsa_signature_is_refused(tmp_path: Path) -> None:
    path = keygen(tmp_path, "rsa", 2048)
    public = Path(f"{path}.pub").read_text()
    blob = parse_public_key(public).blob
    fields = string(b"hisauto") + string(b"") + string(b"sha512")
    raw = string(b"ssh-rsa") + string(b"\x01" * 256)
    with pytest.raises(BadSignature, match="'ssh-rsa' is not accepted"):
        verify(armor(b"SSHSIG\x00\x00\x00\x01" + string(blob) + fields + string(raw)), MESSAGE, public)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (KEY.sign(MESSAGE, magic=b"SSHSIX"), "version 1"),
        (KEY.sign(MESSAGE, version=2), "version 1"),
        (KEY.sign(MESSAGE, reserved=b"x"), "vouches"),
        (KEY.sign(MESSAGE, algorithm=b"sha1"), "SHA-256 or"),
        (KEY.sign(MESSAGE, after=b"x"), "follows"),
        (KEY.sign(MESSAGE, raw=lambda data: KEY.raw(data) + b"x"), "follows"),
        (KEY.sign(MESSAGE, raw=lambda data: KEY.raw(data)[:-1]), "too early"),
        (KEY.sign(MESSAGE, raw=lambda data: string(b"ssh-rsa") + KEY.raw(data)[15:]), "not accepted"),
        (KEY.sign(MESSAGE, raw=lambda _: b""), "too early"),
        (armor(b""), "armored"),
        (armor(b"SSHSIG\x00\x00\x00\x01\xff\xff\xff\xff"), "too early"),
        ("", "armored"),
        (SIGNATURE.strip("-\n"), "armored"),
        (SIGNATURE + "\n", "armored"),
        (" " + SIGNATURE, "armored"),
        (SIGNATURE + SIGNATURE, "armored"),
        (SIGNATURE.replace("\n", "\r\n"), "armored"),
        (SIGNATURE.replace("U1NI", "U1N!"), "damaged"),
        (SIGNATURE.replace("U1NI", "U1N"), "damaged"),
        (SIGNATURE.replace("U1NI", "U1NÍ"), "damaged"),
        (armor(b"\x00").replace("AA==", "AB=="), "damaged"),
    ],
    ids=range(21),
)
def test_a_malformed_signature_is_refused(signature: str, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        verify(signature, MESSAGE, KEY.public)


def test_numbers_of_ecdsa_have_one_form() -> None:
    key = EcdsaSecurityKey(7)
    padded = string(string(b"\x00\x00\x01") + string(b"\x01"))
    zero = string(string(b"") + string(b"\x01"))
    for raw in (padded, zero):
        whole = string(key.kind) + raw + b"\x01\x00\x00\x00\x07"
        signature = key.sign(MESSAGE, raw=partial(lambda whole, _: whole, whole))
        with pytest.raises(BadSignature, match="shortest"):
            verify(signature, MESSAGE, key.public)


def test_every_flipped_bit_is_refused() -> None:
    raw = SIGNATURE.removesuffix("\n").encode()
    for position in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(BadSignature):
            verify(flipped.decode("latin-1"), MESSAGE, KEY.public)


def test_a_key_is_its_blob_whatever_its_comment(tmp_path: Path) -> None:
    path = keygen(tmp_path)
    key = parse_public_key(Path(f"{path}.pub").read_text())
    assert parse_public_key(f"  {key}   somebody else\n") == key
    shown = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True).stdout
    assert shown.split()[1] == key.fingerprint


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", KEY.public[:-4], f"ecdsa-sha2-nistp256 {KEY.public[12:]}"],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_public_key(text)


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    path = keygen(tmp_path, "rsa", 1024)
    with pytest.raises(Invalid, match="1024 bits"):
        parse_public_key(Path(f"{path}.pub").read_text())
