"""What is crashed: a runbook, the world that it finds, and what people answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hisauto.clock import Clock
from hisauto.model.action import Action
from hisauto.site.settings import Settings
from hisauto.site.windows import DAYS
from hisauto.testing.actions import ACTIONS
from hisauto.testing.hosts import Fault
from hisauto.testing.people import Signatory
from hisauto.testing.world import MemoryWorld

from .standins import Put, Row, See, standins

HERE = Path(__file__).with_name("runbooks")
SITE = Path(__file__).parents[2] / "runbooks"
PEOPLE = {
    "operator-1": ("operator",),
    "dba-1": ("dba_lead", "dba"),
    "dba-2": ("dba",),
    "duty-1": ("duty_manager", "loss_approver", "duty"),
}
STAFF = ("operator", "dba_lead", "duty_manager", "dba")
AT_WORK = Fault(takes=0.25)
"""Long enough that its end is waited for."""


@dataclass(frozen=True)
class Scenario:
    """One runbook and its world."""

    name: str
    runbook: Path
    groups: Mapping[str, Sequence[str]]
    says: Mapping[str, Sequence[tuple[str, str]]]
    """Question, by what its id begins with → who answers it, and what."""
    end: str
    others: Mapping[str, Path] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    vars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By ``HOST ATTEMPT``."""
    without_receipts: Sequence[str] = ()

    def world(self, clock: Clock) -> MemoryWorld:
        """The world at the beginning. Made anew it is the same."""
        actions: Mapping[str, Action] = standins(self.rows) if self.rows else ACTIONS
        may = dict.fromkeys(("run", "decide", "cancel"), STAFF)
        people = [Signatory(name, *roles) for name, roles in PEOPLE.items()]
        world = MemoryWorld(self.groups, clock, people, may, vars=self.vars, actions=actions)
        world.kept["db"] = "a-secret-of-the-night"
        world.windows["always"] = Settings.model_validate(
            {"windows": {"always": {"days": list(DAYS), "from": "00:00", "to": "24:00", "zone": "UTC"}}}
        ).windows["always"]
        for host, state in self.state.items():
            world.hosts[host].state |= state
        for host in self.without_receipts:
            world.hosts[host].receipts = False
        for where, fault in self.faults.items():
            host, attempt = where.split(" ")
            world.hosts[host].fault(attempt, fault)
        return world


def _lines(*lines: str) -> dict[str, Any]:
    return {"rc": 0, "stdout": "\n".join(lines), "stdout_lines": list(lines), "stderr": ""}


def _postgres(role: str) -> dict[str, Any]:
    if role == "stopped":
        return {"rc": 2, "refused": True, "error": "Connection refused"}
    standby = role == "standby"
    return {"rc": 0, "refused": False, "row": {"standby": standby, "writer": not standby, "primary": not standby}}


HOSPITAL: list[Row] = [
    ("sql", "pg_is_in_recovery", See("pg", _postgres)),
    ("sql", "replication_seen", See("replication", lambda seen: {"rc": 0, "row": seen})),
    ("sql", "pg_last_wal_receive_lsn", See("wal", lambda seen: {"rc": 0, "row": seen})),
    ("command", "^pg_isready .*-h (\\w+)", See("reaches \\1", lambda _: {"rc": 2, "stdout": "", "stderr": ""})),
    ("command", "^df ", See("disk", lambda percent: _lines("Use%", percent))),
    ("shell", "^fence$", Put({"pg": "stopped", "fence": "fenced"}, _lines("fenced"))),
    ("shell", "^status$", See("fence", lambda fence: _lines("stopped", *([fence] if fence else [])))),
    ("shell", "^unfence$", Put({"fence": ""}, _lines())),
    ("shell", "^promote$", Put({"pg": "primary"}, _lines("promoted"))),
    ("power", "^off$", Put({"power": "off"}, {"state": "off"})),
    ("power", "^status$", See("power", lambda state: {"state": state})),
    ("role", '^haproxy_backend {"backend": "(\\w+)"}', Put({"backend": "\\1"}, {"rc": 0, "failed": 0, "changed": 1,
                                                                              "unreachable": 0, "ok": 1})),
    ("shell", "^server$", See("backend", _lines)),
    ("http", "/api/registrations POST", Put({"registered": "canary"}, {"status": 201})),
    ("http", "/health", See("healthy", lambda status: {"status": status})),
    ("shell", "^ledger$", See("lost", lambda lost: _lines(json.dumps({"lost_seconds": lost})))),
    ("command", "^haproxy-set (\\w+) drain$", Put({"server \\1": "DRAIN"}, _lines())),
    ("command", "^haproxy-set (\\w+) ready$", Put({"server \\1": "UP"}, _lines())),
    ("command", "^haproxy-set (\\w+)$", See("server \\1", lambda state: _lines(str(state)))),
    ("shell", "^restart$", Put({"service": "restarted"}, _lines())),
]  # fmt: skip
GROUPS = {"his_db": ["db1", "db2"], "db_proxy": ["lb1", "lb2"], "app": ["app1", "app2"]}
VARS: dict[str, dict[str, Any]] = {
    **{db: {"pg_host": db, "pg_port": 5432, "pg_fence": "fence", "pg_status": "status", "pg_unfence": "unfence",
            "pg_promote": "promote"} for db in GROUPS["his_db"]},
    **{lb: {"haproxy_server": "server"} for lb in GROUPS["db_proxy"]},
    **{app: {"app_server": app, "app_url": f"http://{app}:8080", "app_ledger": "ledger", "app_restart": "restart"}
       for app in GROUPS["app"]},
}  # fmt: skip
STATE: dict[str, dict[str, Any]] = {
    "db1": {"pg": "stopped", "power": "on"},
    "db2": {"pg": "standby", "replication": {"synchronous": True, "age_seconds": 1}, "wal": {"replayed": True},
            "disk": "40%"},
    **{lb: {"backend": "db1", **{f"server {app}": "UP" for app in GROUPS["app"]}} for lb in GROUPS["db_proxy"]},
    **{app: {"healthy": 200, "lost": 0.0} for app in GROUPS["app"]},
}  # fmt: skip
YES = [("dba-1", "yes"), ("duty-1", "yes")]

EVERYTHING = Scenario(
    "everything", HERE / "everything.yml", GROUPS,
    {"gate:": [("dba-1", "all"), ("duty-1", "all")], "manual:": [("duty-1", "done with it is red")],
     "ask:": [("dba-1", "again")]}, "partial",
    others={"inner": HERE / "inner.yml"}, state=STATE, vars=VARS, rows=HOSPITAL, without_receipts=["lb2"],
    faults={
        "app1 7[app1].1#1": Fault(rc=1), "app2 7[app2].1": AT_WORK, "lb1 9.1[lb1]": AT_WORK,
        "db1 6[1].2[db1]": Fault(rc=1), "db1 8.1[db1]": Fault(rc=1), "app1 17[app1]#1": Fault(rc=1),
    },
)  # fmt: skip
SCENARIOS = [
    Scenario(
        "database-failover", SITE / "database-failover.yml", GROUPS, {"gate:": YES}, "succeeded",
        state=STATE, vars=VARS, rows=HOSPITAL,
        faults={"db1 3.1[db1]": AT_WORK, "db2 4[db2]": AT_WORK, "lb1 5[lb1]": AT_WORK},
    ),
    Scenario(
        "service-restart", SITE / "service-restart.yml", GROUPS, {}, "succeeded",
        state=STATE, vars=VARS, rows=HOSPITAL, faults={"app1 1[app1].2": AT_WORK},
    ),
    EVERYTHING,
    replace(EVERYTHING, name="everything-goes-back", end="rolled_back",
            faults={**EVERYTHING.faults, "db2 19.1[db2]": Fault(rc=1)}),
]  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
