"""What Ansible does, event by event, as JSON lines in the file that ``HISAUTO_EVENTS`` names. For ``ansible.py``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: hisauto_watch
type: notification
short_description: events for hisauto
description: Writes what happens to the file that HISAUTO_EVENTS names.
"""
LONGEST = 2000
"""Characters of a task's message that are kept."""
LARGEST = 256 << 10
"""Characters of a module's result that is kept."""
STATS = (("ok", "ok"), ("changed", "changed"), ("failed", "failures"), ("unreachable", "dark"), ("skipped", "skipped"))


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """One for the process; Ansible calls it from its main thread, under a lock."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "hisauto_watch"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = Path(os.environ["HISAUTO_EVENTS"]).open("a", encoding="utf-8")  # noqa: SIM115 — Ansible's life long
        self._results = "HISAUTO_RESULTS" in os.environ

    def _write(self, **event: Any) -> None:
        self._file.write(json.dumps(event, default=str) + "\n")
        self._file.flush()

    def _task(self, state: str, result: Any) -> None:
        res = result.result
        said = ""
        if state in ("failed", "ignored", "unreachable"):
            said = " ".join(str(res[key]) for key in ("msg", "stderr") if res.get(key))
        event = {"name": str(result.task.name or result.task.action), "state": state, "message": said[:LONGEST]}
        self._write(task=event)
        if self._results:
            kept = {k: v for k, v in res.items() if k not in ("invocation", "diff") and not k.startswith("_ansible")}
            if len(json.dumps(kept, default=str)) <= LARGEST:
                self._write(result=kept)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._write(begun=True)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._task("changed" if result.result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._task("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._task("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._task("unchecked" if result.task.check_mode and not _conditional(result.result) else "skipped", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._write(stats={ours: sum(getattr(stats, theirs).values()) for ours, theirs in STATS})


def _conditional(res: dict[str, Any]) -> bool:
    """Skipped by its ``when``, or with nothing to loop over. Else a module skips what check mode can't foresee."""
    items = res.get("results")
    if isinstance(items, list) and items:
        return all(_conditional(item) for item in items)
    return "false_condition" in res or "skipped_reason" in res or "skip_reason" in res
