"""The lab's one error."""

from __future__ import annotations

from hisauto.errors import HisautoError


class LabError(HisautoError):
    """The lab can't do that."""
