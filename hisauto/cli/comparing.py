"""``plan --diff``: a new plan against the one that a run was approved with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from rich.text import Text

from hisauto.cli.language import tr
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say
from hisauto.errors import NotFound, UsageError
from hisauto.model.run import RunState, RunView
from hisauto.plan.diff import Difference, differences
from hisauto.plan.plan import Plan

LAST = "last"
NOT_TAKEN = (RunState.refused, RunState.rejected, RunState.expired)
STYLES = {"+": "green", "-": "red", "@": "cyan"}


def compare(session: Session, runbook: str, params: Mapping[str, str], run: str) -> int:
    """Print what differs. The exit code: 0 the same, 1 it differs."""
    planned = session.app.plan(runbook, params, ahead=False)
    new, store = planned.plan, session.app.store
    view = _last(session, new.runbook.runbook) if run == LAST else store.find_run(run)
    if view.runbook != new.runbook.runbook:
        raise UsageError(f"{view.id} is a run of {view.runbook}", hint=f"hisauto runs {new.runbook.runbook}")
    pinned = {new.files[path]: data for path, data in planned.files.items()}
    old = Plan.from_json(store.plan(view.id))
    found = differences(old, new, lambda digest: pinned[digest] if digest in pinned else store.blob(digest))
    if session.json:
        emit({"run": view.id, "same": not found, "then": view.digest, "now": new.digest,
              "differences": [asdict(one) for one in found]})  # fmt: skip
    elif not found:
        say(tr(f"the same plan as {view.id}: {new.digest}"))
    else:
        _show(session, found)
        parts = ", ".join(dict.fromkeys(one.part for one in found))
        note(tr(f"it differs from {view.id}: {parts}"))
    return 1 if found else 0


def _last(session: Session, runbook: str) -> RunView:
    taken = [state for state in RunState if state not in NOT_TAKEN]
    found = session.app.store.runs(states=taken, runbook=runbook, limit=1)
    if not found:
        raise NotFound(f"no run of {runbook} was taken so far", hint="hisauto runs")
    return found[0]


def _show(session: Session, found: list[Difference]) -> None:
    for one in found:
        for line in one.lines:
            session.console.print(Text(clean(line), style=STYLES.get(line[:1], "")), soft_wrap=True)
