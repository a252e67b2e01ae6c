from __future__ import annotations

from tests.engine.conftest import clock, store

__all__ = ["clock", "store"]
