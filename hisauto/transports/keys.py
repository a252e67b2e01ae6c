"""The keys that we log in with: files, encrypted or not, and the agent's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from hisauto.errors import Unreachable

Passphrase = Callable[[Path], str | None]
"""Asks for the passphrase of a key file; ``None``: there is none to be had."""


class Keys:
    """Loaded at their first use, once, and shared by all connections. Thread-safe."""

    def __init__(self, files: Sequence[Path] = (), agent: bool = False, passphrase: Passphrase | None = None) -> None:
        self._files = tuple(files)
        self._agent = agent
        self._passphrase = passphrase
        self._loaded: dict[Path, paramiko.PKey] = {}
        self._lock = threading.Lock()

    @contextmanager
    def offered(self, extra: Path | None = None) -> Iterator[list[tuple[str, paramiko.PKey]]]:
        """What is offered, in order, each with its name for messages: ``extra`` first, files, then the agent's.

        Raises ``Unreachable`` for a file that can't be used and for an agent that isn't there.
        """
        files = dict.fromkeys([*([extra] if extra else []), *self._files])
        keys = [(str(path), self._load(path)) for path in files]
        if not self._agent:
            yield keys
            return
        try:
            agent = paramiko.Agent()
        except (paramiko.SSHException, OSError) as e:
            raise Unreachable(f"the SSH agent does not answer: {e}") from e
        try:
            held = agent.get_keys()
            if not held and not keys:
                raise Unreachable(
                    "the SSH agent has no key, or there is no agent",
                    hint="start one and add a key (ssh-add), with SSH_AUTH_SOCK set, or configure a key file",
                )
            yield keys + [(f"agent: {key.comment or key.get_name()}", key) for key in held]
        finally:
            agent.close()

    def _load(self, path: Path) -> paramiko.PKey:
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = self._read(path)
            return self._loaded[path]

    def _read(self, path: Path) -> paramiko.PKey:
        try:
            return paramiko.PKey.from_path(path)
        except OSError as e:
            raise Unreachable(f"the key {path} can't be read: {e.strerror}") from e
        except (paramiko.PasswordRequiredException, TypeError):  # cryptography: a password is needed, none was given
            pass
        except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError, UnsupportedAlgorithm) as e:
            raise Unreachable(f"{path} is not a private key that can be used: {e}") from e
        passphrase = self._passphrase(path) if self._passphrase else None
        if passphrase is None:
            raise Unreachable(
                f"the key {path} is encrypted and there is no passphrase for it",
                hint="add it to an SSH agent (ssh-add) and use that, or give the passphrase when asked",
            )
        try:
            # declared as str, but handed on to cryptography, which wants bytes
            return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]
        except (paramiko.SSHException, ValueError, UnsupportedAlgorithm):
            # The library's message is left out: it is about what was typed.
            raise Unreachable(f"the passphrase for the key {path} is wrong") from None
