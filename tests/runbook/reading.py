"""A runbook's text, read and checked as for a small site: the built-in actions, a few hosts and groups."""

from __future__ import annotations

from typing import Any

from hisauto import actions
from hisauto.errors import Invalid
from hisauto.model.problems import Problem
from hisauto.runbook.check import check
from hisauto.runbook.documents import Runbook
from hisauto.runbook.loader import load_runbook

ACTIONS = actions.load()
GROUPS = frozenset({"his_db", "db_proxy", "app", "all"})
HOSTS = frozenset({"db1", "db2", "lb1", "app1", "app2"})


def check_text(text: bytes, name: str, **known: Any) -> tuple[Runbook | None, list[Problem]]:
    """``known``: as for ``check``. No runbook when its form is wrong; the problems are all that could be found."""
    try:
        loaded = load_runbook(text, name, ACTIONS)
    except Invalid as error:
        return None, list(error.problems)
    return loaded.runbook, check(loaded, ACTIONS, **known)
