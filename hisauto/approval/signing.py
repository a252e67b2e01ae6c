"""Signing with a person's own key, through ``ssh-keygen``.

The one part here that does I/O: only OpenSSH's own program reaches every key a person may have, in an agent, encrypted,
or on a security key that wants to be touched, without the key or its passphrase passing through us.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hisauto.approval.sshsig import NAMESPACE, parse_public_key
from hisauto.errors import HisautoError, Invalid, NotFound, Refused, UsageError

_PATIENCE = 120  # seconds for a person to type a passphrase or touch a key
_SHORT = 10  # seconds for what asks nobody


@dataclass(frozen=True)
class SigningKey:
    """A key that can sign here."""

    public: str
    """OpenSSH public key."""
    path: Path | None = None
    """The file with the private key, or with the public key of one in the agent; ``None``: in the agent."""


def sign(message: bytes, key: SigningKey | Path, namespace: str = NAMESPACE) -> str:
    """The armored signature over ``message``. May ask for a passphrase, or for a touch, on the terminal.

    Raises ``NotFound`` if the file is not there, ``UsageError`` if the key can't be used here and now.
    """
    path = key if isinstance(key, Path) else key.path
    if path is not None and not path.is_file():
        raise NotFound(f"there is no key file {path}", hint="name the private key, as for ssh -i")
    with tempfile.TemporaryDirectory(prefix="hisauto-sign-") as folder:
        if path is None and isinstance(key, SigningKey):
            path = Path(folder, "key.pub")
            path.write_text(f"{key.public}\n")
        # By file: with the message on its standard input ssh-keygen would read that for the passphrase if there is no
        # terminal, and look for a graphical prompt if there is one.
        card = Path(folder, "card")
        card.write_bytes(message)
        done = _run(["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(path), str(card)], _PATIENCE)
        signature = Path(f"{card}.sig")
        if done.returncode != 0 or not signature.is_file():
            raise _explained(done.stderr, "the agent" if isinstance(key, SigningKey) and not key.path else str(path))
        return signature.read_text()


def find_key(candidates: Iterable[Path], public_keys: Sequence[str]) -> SigningKey:
    """The first of the user's keys that is one of ``public_keys``: from the agent if it has it, else from a file.

    ``candidates`` are private or public key files; those that are missing are passed over.
    Raises ``NotFound`` if none of them is.
    """
    wanted = {parse_public_key(text).fingerprint: text for text in public_keys}
    for line in _run(["ssh-add", "-L"], _SHORT).stdout.splitlines():
        try:
            held = parse_public_key(line)
        except Invalid:
            continue  # the agent may hold certificates and other things that are not ours
        if held.fingerprint in wanted:
            return SigningKey(str(held))
    looked_at = [path for path in candidates if path.is_file()]
    for path in looked_at:
        # Asks for no passphrase: the public half of a private key file is not encrypted.
        shown = _run(["ssh-keygen", "-l", "-f", str(path)], _SHORT).stdout.split()
        if len(shown) > 1 and shown[1] in wanted:
            return SigningKey(wanted[shown[1]], path)
    names = ", ".join(map(str, looked_at)) or "no file"
    raise NotFound(
        f"none of your keys is registered for you: looked at the agent and at {names}",
        hint="load the key with ssh-add, or name its file",
    )


def _run(argv: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    interactive = sys.stdin is not None and sys.stdin.isatty()
    try:
        return subprocess.run(
            argv,
            stdin=None if interactive else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            start_new_session=not interactive,  # so that it can't ask on a terminal that is somebody else's
        )
    except FileNotFoundError as error:
        raise HisautoError(f"{argv[0]} is not installed", hint="install the OpenSSH client") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"nobody answered {argv[0]} within {timeout:.0f} s", hint="try again") from error


def _explained(stderr: str, where: str) -> HisautoError:
    """What ssh-keygen meant."""
    if "passphrase" in stderr:
        return UsageError(
            f"the key in {where} is encrypted, and the passphrase was wrong or there is no terminal to ask for it on",
            hint=f"ssh-add {where}, then try again",
        )
    if "UNPROTECTED" in stderr:
        return UsageError(f"others may read the private key {where}", hint=f"chmod 600 {where}")
    if "agent refused" in stderr:
        return Refused("the agent did not sign", hint="confirm it, or touch the security key, when asked")
    last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "no reason given")
    return UsageError(f"the key in {where} can't sign: {last.strip()}")
