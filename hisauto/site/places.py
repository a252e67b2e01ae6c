"""Where checkpoints are published, as ``hisauto.yml`` says it."""

from __future__ import annotations

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, model_validator

from hisauto.site.fields import Entry


def _syslog(value: str) -> str:
    parts = urlsplit(value)
    try:
        good = parts.port != 0 and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        good = False
    if parts.scheme in ("tcp", "udp"):
        good = good and bool(parts.hostname) and parts.path in ("", "/")
    else:
        good = good and parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
    if not good:
        raise ValueError(f"expected tcp://HOST:PORT, udp://HOST:PORT or unix:///dev/log, not {value!r}")
    return value


def _path(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("expected a path, and it is empty")
    return value


class PlaceSetting(Entry):
    """A file here, a file on a host of the inventory, or a syslog server."""

    file: Annotated[str, AfterValidator(_path)] | None = None
    host: str | None = None
    syslog: Annotated[str, AfterValidator(_syslog)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.syslog is None) or (self.host is not None and self.file is None):
            raise ValueError("expected one place: a path, {host: HOST, file: PATH} or {syslog: tcp://HOST:PORT}")
        if self.host is not None and not str(self.file).startswith("/"):
            raise ValueError(f"expected a path on {self.host} that begins with /, not {self.file!r}")
        return self


def _as_list(value: Any) -> Any:
    """One place needs no list, and a path no mapping."""
    several = [value] if isinstance(value, str | dict) and value else value
    return [{"file": one} if isinstance(one, str) else one for one in several] if isinstance(several, list) else several


Places = Annotated[tuple[PlaceSetting, ...], BeforeValidator(_as_list)]
