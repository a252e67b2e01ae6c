"""``python target.py CORPUS… OPTIONS`` in the fuzzer's own environment: bytes that crash what reads runbooks.

Whatever they are, they are a runbook or ``Invalid``; its problems can be listed, and what is formatted says the same.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["hisauto", "jinja2"]):
    from hisauto import actions
    from hisauto.errors import Invalid
    from hisauto.runbook.check import check
    from hisauto.runbook.formatting import format_runbook
    from hisauto.runbook.loader import load_runbook

ACTIONS = actions.load()


def one(data: bytes) -> None:
    try:
        loaded = load_runbook(data, "x.yml", ACTIONS)
    except Invalid as error:
        for problem in error.problems:
            str(problem)
        return
    for problem in check(loaded, ACTIONS):
        str(problem)
    again = format_runbook(data, "x.yml", ACTIONS)
    if load_runbook(again, "x.yml", ACTIONS).runbook != loaded.runbook:
        raise AssertionError(again)


atheris.Setup(sys.argv, one)
atheris.Fuzz()
