"""Where a site's secrets are, as ``hisauto.yml`` says it, and how each is had. No message quotes a value."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from hisauto.errors import HisautoError, NotFound, Refused, UsageError
from hisauto.site.fields import Entry, FilePath
from hisauto.site.vault import read_vault

LARGEST = 1 << 20
"""Bytes of a file that holds secrets."""
PATIENCE = 10.0
"""Seconds for a HashiCorp Vault to answer."""


def _variable(value: str) -> str:
    # It isn't quoted: it may be the secret itself, written where its place belongs.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("expected the name of an environment variable, like HIS_DB_PASSWORD")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("expected a URL like https://vault.hospital.example:8200, without a password")
    if parts.scheme == "http" and not _here(parts.hostname):
        raise ValueError("the token and the secret would go over the network for all to read: use https")
    return value


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Variable = Annotated[str, AfterValidator(_variable)]


class Keyring(Entry):
    """``keyring:`` an entry of the operating system's keyring."""

    service: str
    user: str


class AnsibleVault(Entry):
    """``vault:`` a value of an Ansible vault: a file that is encrypted whole, or one value of it by ``!vault``."""

    file: FilePath
    key: str
    """The value's key; ``a.b`` is b in the mapping a."""
    password_file: FilePath


class Token(Entry):
    """``token:`` where the token for HashiCorp Vault is."""

    env: Variable | None = None
    file: FilePath | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("expected one place: {env: NAME} or {file: PATH}")
        return self


class HashiCorpVault(Entry):
    """``hvac:`` a field of HashiCorp Vault's key-value store, version 2."""

    url: Annotated[str, AfterValidator(_url)]
    mount: str = "secret"
    path: str
    field: str
    token: Token
    ca: FilePath | None = None
    """The certificates to trust; none: the system's."""


class Source(Entry):
    """Where one secret is: exactly one of these."""

    env: Variable | None = None
    file: FilePath | None = None
    keyring: Keyring | None = None
    vault: AnsibleVault | None = None
    hvac: HashiCorpVault | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected one place: env, file, keyring, vault or hvac")
        return self

    @property
    def kind(self) -> str:
        """``env``, ``file``, ``keyring``, ``vault`` or ``hvac``."""
        (only,) = self.model_fields_set
        return only


def read_secret(source: Source, root: Path) -> str:
    """The secret at this place. Raises ``HisautoError`` with the reason when it can't be had."""
    if source.env is not None:
        return _from_env(source.env)
    if source.file is not None:
        return read_private(root / source.file)
    if source.keyring is not None:
        return _from_keyring(source.keyring)
    if source.vault is not None:
        place = source.vault
        return read_vault(root / place.file, place.key, private(root / place.password_file), root)
    assert source.hvac is not None
    return _from_hvac(source.hvac, root)


def _from_env(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        hint = "give it to whatever starts the node: in systemd, EnvironmentFile="
        raise NotFound(f"the environment variable {name} is not set here", hint=hint)
    return value


def private(path: Path) -> Path:
    """A file that only its owner can read, and its owner is us or root. Raises ``NotFound``, ``Refused``."""
    try:
        found = path.stat()
    except OSError as error:
        raise NotFound(f"the file {path} can't be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{path} is not a file")
    if found.st_uid not in (0, os.geteuid()):
        raise Refused(f"the file {path} belongs to somebody else", hint=f"chown it to uid {os.geteuid()}, the node's")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise Refused(f"the file {path} can be read by others (mode {mode:04o})", hint="chmod 600")
    return path


def read_private(path: Path) -> str:
    """The text of a private file without its last newline. Raises ``NotFound``, ``Refused``."""
    try:
        with private(path).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise NotFound(f"the file {path} can't be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Refused(f"the file {path} is larger than a secret")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Refused(f"the file {path} is not text (UTF-8)") from None


def _from_keyring(entry: Keyring) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise UsageError("the Python package keyring is not installed", hint="pip install 'hisauto[keyring]'") from None
    try:
        value = keyring.get_password(entry.service, entry.user)
    except KeyringError as error:
        raise HisautoError(f"the keyring does not answer: {error or type(error).__name__}") from None
    if not value:
        backend = type(keyring.get_keyring()).__module__
        raise NotFound(f"the keyring ({backend}) has no '{entry.service}' for {entry.user}")
    return str(value)


def _from_hvac(place: HashiCorpVault, root: Path) -> str:
    try:
        import hvac
        import requests
    except ImportError:
        raise UsageError("the Python package hvac is not installed", hint="pip install 'hisauto[hvac]'") from None
    token = _from_env(place.token.env) if place.token.env else read_private(root / (place.token.file or ""))
    where = f"{place.url} {place.mount}/{place.path}"
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc of whoever started the node
        session.verify = str(root / place.ca) if place.ca else True
        client = hvac.Client(url=place.url, token=token, timeout=PATIENCE, session=session, allow_redirects=False)
        try:
            answer = client.secrets.kv.v2.read_secret_version(
                path=place.path, mount_point=place.mount, raise_on_deleted_version=True
            )
            fields = answer["data"]["data"]
        except hvac.exceptions.InvalidPath:
            raise NotFound(f"{where}: there is nothing there") from None
        except hvac.exceptions.Forbidden:
            raise Refused(f"{where}: the token may not read it, or has expired") from None
        except hvac.exceptions.VaultError as error:
            raise HisautoError(f"{where}: Vault says {type(error).__name__}") from None
        except (requests.RequestException, LookupError, TypeError) as error:
            raise HisautoError(f"{where}: no answer that can be read ({type(error).__name__})") from None
    if not isinstance(fields, dict) or not isinstance(value := fields.get(place.field), str) or not value:
        raise NotFound(f"{where}: it has no text '{place.field}'")
    return value
