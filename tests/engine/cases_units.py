"""Counting over hosts, units, batches, tolerated failures, blocks and ways."""

from __future__ import annotations

from hisauto.testing.hosts import Fault

from .play import Case


def counting(words: str) -> str:
    return f"    steps:\n      - {{name: Look, hosts: app, look: up, expect: value == 'yes', {words}}}\n"


YES = {"up": "yes"}
ALL = {f"app{n}": YES for n in range(1, 5)}
ONE_DARK = {"app1": YES, "app2": YES}


def counted(name: str, words: str, start: dict[str, dict[str, str]], silent: str, good: bool, why: str = "") -> Case:
    return Case(name, counting(words), start=start, silent=silent, end="succeeded" if good else "failed", why=why)


COUNTS = [
    counted("at_least: enough", "at_least: 2", ONE_DARK, "", True),
    counted("at_least: enough, whatever the dark one says", "at_least: 2", ONE_DARK, "app3 up", True),
    counted("at_least: it depends on the dark one", "at_least: 3", ONE_DARK, "app3 up", False, "2 to 3 of 4"),
    counted("at_least: too few, whatever the dark one says", "at_least: 4", ONE_DARK, "app3 up", False, "2 to 3 of 4"),
    counted("exactly: so many", "exactly: 2", ONE_DARK, "", True),
    counted("exactly: one unknown is one too many", "exactly: 2", ONE_DARK, "app3 up", False, "2 to 3 of 4"),
    counted("exactly: too many", "exactly: 1", ONE_DARK, "", False, "2 of 4"),
    counted("at_least: all", "at_least: 4", ALL, "", True),
]

DRAIN = """
    steps:
      - name: Patch
        hosts: app
        batch: {batch}
        max_failures: {most}
        steps:
          - {{name: Drain, set: {{lb: out}}, undo: {{set: {{lb: in}}, idempotent: true}}}}
          - {{name: Upgrade, set: {{version: 2}}}}
"""
BROKEN = {"app2 1[app2].2": Fault(rc=1)}


def each(*hosts: str) -> str:
    return ", ".join(f"{host} lb=out, {host} version=2" for host in hosts)


WAYS = """
    steps:
      - name: Fence
        ways:
          - name: Ask it
            hosts: a
            set: {service: stopped}
            done_when: {look: service, expect: value == 'stopped'}
            within: 5s
            undo: {set: {service: started}, idempotent: true}
          - name: Cut its power
            set: {power: "off"}
            done_when: {look: power, expect: value == 'off'}
            within: 5s
      - {name: Promote, hosts: a, set: {role: primary}}
"""
AWAY = """
    steps:
      - {name: One, hosts: b, set: {one: 1}}
      - name: Look
        hosts: db
        look: up
        expect: value == 'yes'
        exactly: 1
"""
SOAK = """
    steps:
      - name: Soak
        hosts: a
        look: up
        expect: value == 'yes'
        holds: 10s
      - {name: Tell, set: {told: yes}}
"""
GATED = """
    steps:
      - name: Fence
        done_when: {look: power, expect: value == 'off'}
        ways:
          - {name: Ask it, hosts: a, set: {service: stopped}}
          - {name: Cut its power, set: {power: "off"}}
"""

CASES = [
    *COUNTS,
    Case("each unit goes through the whole list, one after another", DRAIN.format(batch=1, most=0),
         moves=each("app1", "app2", "app3", "app4"), states="1[app1].1#1 done, 1[app4].2#1 done"),
    Case("a failure stops what comes after its batch", DRAIN.format(batch=1, most=0), faults=BROKEN,
         moves=each("app1", "app2"), states="1[app3].1#1 none", end="failed"),
    Case("a tolerated failure makes it partial", DRAIN.format(batch=1, most=1), faults=BROKEN,
         moves=each("app1", "app2", "app3", "app4"), end="partial"),
    Case("percentages are of all units, rounded down", DRAIN.format(batch=1, most="30%"), faults=BROKEN,
         moves=each("app1", "app2", "app3", "app4"), end="partial"),
    Case("one failure too many", DRAIN.format(batch=1, most=1), moves=each("app1", "app2", "app3"),
         faults={**BROKEN, "app3 1[app3].2": Fault(rc=1)}, end="failed"),
    Case("a failed host takes part in nothing further", DRAIN.format(batch=1, most=1)
         + "      - {name: Restart, hosts: app, batch: 1, set: {restarted: now}}\n", faults=BROKEN,
         moves=each("app1", "app2", "app3", "app4")
         + ", app1 restarted=now, app3 restarted=now, app4 restarted=now", end="partial"),
    Case("on_failure: rollback undoes that unit", DRAIN.format(batch=1, most=1) + "        on_failure: rollback\n",
         faults=BROKEN, moves=each("app1", "app2") + ", app2 lb=in, " + each("app3", "app4"), end="partial",
         states="1[app2].1#1 undone, 1[app1].1#1 done", after={"app2": {"lb": "in"}, "app1": {"lb": "out"}}),
    Case("a block without hosts goes back as one", """
    steps:
      - {name: First, hosts: a, set: {first: 1}, undo: {set: {first: 0}, idempotent: true}}
      - name: Block
        on_failure: rollback
        steps:
          - {name: Second, hosts: a, set: {second: 1}, undo: {set: {second: 0}, idempotent: true}}
          - {name: Third, hosts: a, set: {third: 1}}
    """, faults={"a 2.2[a]": Fault(rc=1)}, moves="a first=1, a second=1, a third=1, a second=0", end="failed",
         states="1[a]#1 done, 2.1[a]#1 undone"),
    Case("after a unit went back, again does the unit again", DRAIN.format(batch=1, most=0)
         + "        on_failure: rollback\n    on_failure: ask\n", faults=BROKEN, turns=["dba-1 again"],
         moves=each("app1", "app2") + ", app2 lb=in, " + each("app2", "app3", "app4"),
         after={"app2": {"lb": "out", "version": "2"}}),
    Case("after again and another failure, the unit goes back again", DRAIN.format(batch=1, most=0)
         + "        on_failure: rollback\n    on_failure: ask\n", faults={"app2 1[app2].2": Fault(rc=1, times=2)},
         turns=["dba-1 again", "dba-1 stop"], end="failed",
         moves=each("app1", "app2") + ", app2 lb=in, " + each("app2") + ", app2 lb=in", after={"app2": {"lb": "in"}}),
    Case("again brings back only the unit that it is said of", DRAIN.format(batch=1, most=1)
         + "        on_failure: rollback\n    on_failure: ask\n", turns=["dba-1 again"], end="partial",
         faults={"app2 1[app2].2": Fault(rc=1), "app3 1[app3].2": Fault(rc=1)},
         moves=each("app1", "app2") + ", app2 lb=in, " + each("app3") + ", app3 lb=in, " + each("app2", "app4"),
         states="1[app3].1#1 undone, 1[app3].1#2 none"),
    Case("ask, again: a failed host is tried again and not left out", """
    on_failure: ask
    steps:
      - {name: Stop, hosts: db, batch: 1, set: {service: stopped}}
    """, faults={"b 1[b]": Fault(rc=1)}, turns=["dba-1 again"],
         moves="a service=stopped, b service=stopped, b service=stopped", states="1[b]#1 failed, 1[b]#2 done"),
    Case("ask, again: a repair by hand counts", """
    on_failure: ask
    steps:
      - name: Block
        hosts: a
        done_when: {look: service, expect: value == 'stopped'}
        within: 3s
        steps:
          - {name: Stop, set: {service: stopped}}
    """, faults={"a 1[a].1": Fault(late=30)}, turns=["later; dba-1 again"], moves="a service=stopped"),
    Case("a block that is so already", """
    steps:
      - name: Block
        hosts: db
        batch: 1
        done_when: {look: service, expect: value == 'stopped'}
        steps:
          - {name: Stop, set: {service: stopped}}
    """, start={"a": {"service": "stopped"}}, moves="b service=stopped", states="1[a].1#1 none, 1[b].1#1 done"),
    Case("a block's done_when that doesn't hold in the end", """
    steps:
      - name: Block
        hosts: a
        done_when: {look: other, expect: value == 'yes'}
        within: 3s
        steps:
          - {name: Stop, set: {service: stopped}}
    """, moves="a service=stopped", end="failed", why="done_when does not hold after its last step"),
    Case("an inner step with hosts runs there; host is the unit's", """
    steps:
      - name: Patch
        hosts: app1
        steps:
          - {name: Drain, hosts: a, set: {drained: "{{ host }} {{ here }}"}}
    """, moves="a drained=app1 a", states="1[app1].1[a]#1 done"),
    Case("a unit can't go on without a host that failed", """
    steps:
      - name: Patch
        hosts: db
        batch: 1
        max_failures: 2
        steps:
          - {name: Drain, hosts: app1, set: {drained: "{{ host }}"}}
          - {name: Upgrade, set: {version: "2"}}
    """, faults={"app1 1[a].1[app1]": Fault(rc=1)}, moves="app1 drained=a", end="partial"),
    Case("batch.number", """
    steps:
      - {name: Number, hosts: app, batch: [1, 2], set: {batch: "{{ batch.number }}"}, when: batch.number != 2}
    """, moves="app1 batch=1, app4 batch=3"),
    Case("ways: the first that leads there", WAYS, moves="a service=stopped, a role=primary",
         states="1.1[a]#1 done, 1.2#1 none"),
    Case("ways: a way that failed bars its host from nothing", WAYS, faults={"a 1.1[a]": Fault(rc=1)},
         moves="a service=stopped, node power=off, a role=primary", states="1.1[a]#1 failed, 1.2#1 done"),
    Case("ways: one in doubt stops nothing", WAYS, silent="a service",
         moves="a service=stopped, node power=off, a role=primary", states="1.1[a]#1 in_doubt, 1.2#1 done"),
    Case("ways: an undo stays owed", "    on_failure: rollback\n" + WAYS, silent="a service",
         faults={"a 2[a]": Fault(rc=1)},
         moves="a service=stopped, node power=off, a role=primary, a service=started", end="rolled_back",
         states="1.1[a]#1 undone"),
    Case("ways: what one registers is there for the next step", """
    steps:
      - name: Fence
        ways:
          - name: Ask it
            hosts: a
            set: {service: stopped}
            done_when: {look: service, expect: value == 'stopped'}
            register: fence
      - name: Gate
        approve: {question: "{{ fence.rc }}?", by: {dba: 1}, within: 10m}
      - {name: Note, set: {rc: "{{ fence.rc }}"}}
    """, turns=["dba-1 yes"], moves="a service=stopped, node rc=0"),
    Case("a host that can't be reached makes the count a range", AWAY, faults={"b 1[b]": Fault(away=60)}, end="failed",
         moves="b one=1", why="1 to 2 of 2, 1 wanted", start={"a": YES, "b": YES}),
    Case("go_on leaves it out of the count", AWAY + "        unreachable: {go_on: it may be dead}\n",
         faults={"b 1[b]": Fault(away=60)}, moves="b one=1", start={"a": YES, "b": YES}),
    Case("holds: long enough", SOAK, start={"a": YES}, moves="node told=yes"),
    Case("holds: it has to stay so", """
    steps:
      - {name: Change, hosts: a, set: {up: "no"}, batch: 1}
      - {name: Soak, hosts: a, look: up, expect: value == 'yes', holds: 10s}
    """, start={"a": YES}, faults={"a 1[a]": Fault(late=3)}, moves="a up=no", end="failed"),
    Case("ways: the block's done_when decides", GATED, moves="a service=stopped, node power=off",
         states="1.1[a]#1 done, 1.2#1 done"),
    Case("ways: none leads there", WAYS, faults={"a 1.1[a]": Fault(rc=1), "node 1.2": Fault(rc=1)}, end="failed",
         moves="a service=stopped, node power=off", why="no way led there"),
]  # fmt: skip
