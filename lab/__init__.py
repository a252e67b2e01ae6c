"""The lab hospital: real sshd, PostgreSQL, HAProxy and a registration service on loopback, and faults to break them.

``up`` · ``down`` · ``status`` · ``break_`` · ``heal`` take the folder of a site. What it can't show: docs/lab.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.control import FAULTS, HostStatus, Status, break_, down, heal, on_host, status, up
    from lab.errors import LabError

__all__ = ["FAULTS", "HostStatus", "LabError", "Status", "break_", "down", "heal", "on_host", "status", "up"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: ``lab.power`` and what runs on the hosts start without the database driver."""
    if name == "LabError":
        from lab.errors import LabError

        return LabError
    if name in __all__:
        import lab.control

        return getattr(lab.control, name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
