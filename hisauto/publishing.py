"""Where a site's checkpoints go, from what ``hisauto.yml`` says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hisauto.publish.file import FilePlace
from hisauto.publish.host import HostPlace
from hisauto.publish.place import Place
from hisauto.publish.syslog import SyslogPlace

if TYPE_CHECKING:
    from hisauto.app import App
    from hisauto.model.transport import Session


def places(app: App) -> Iterator[Place]:
    """Every place of the site; without any, a file beside the log."""
    configured = app.site.settings.audit.publish
    if not configured:
        path = app.site.folder("audit") / "checkpoints"
        yield FilePlace(app.shown(path), path)
    for one in configured:
        if one.syslog is not None:
            yield SyslogPlace(one.syslog, app.clock)
        elif one.host is not None:
            yield _on_host(app, one.host, str(one.file))
        else:
            assert one.file is not None
            yield FilePlace(one.file, app.site.root / Path(one.file).expanduser())


def _on_host(app: App, host: str, path: str) -> HostPlace:
    def session() -> Session:
        # With the inventory and the known hosts as they are then: a node outlives many changes of them.
        fresh = app.fresh()
        return fresh.transports["ssh"].session(host, fresh.inventory.vars(host), "publish")

    return HostPlace(host, path, session)
