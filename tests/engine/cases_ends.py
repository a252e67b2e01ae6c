"""How a run ends, and the way back."""

from __future__ import annotations

from hisauto.testing.hosts import Fault

from .play import Case

BACK = """
    on_failure: rollback
    steps:
      - {name: One, hosts: db, batch: 1, set: {one: 1}, undo: {set: {one: 0}, idempotent: true}}
      - {name: Two, hosts: a, set: {two: 1}, undo: {set: {two: 0}, idempotent: true}}
      - {name: Three, hosts: a, set: {three: 1}}
"""
THERE = "a one=1, b one=1, a two=1, a three=1"
FAILS = {"a 3[a]": Fault(rc=1)}
LOOKING = """
    on_failure: rollback
    steps:
      - name: Stop
        hosts: a
        set: {service: stopped}
        undo:
          set: {service: started}
          done_when: {look: service, expect: value == 'started'}
          within: 5s
      - {name: Then, hosts: a, set: {then: 1}}
"""
UNSURE = """
    on_failure: rollback
    steps:
      - {name: Stop, hosts: a, set: {service: stopped}, undo: {set: {service: started}}}
      - {name: Then, hosts: b, set: {then: 1}, undo: {set: {then: 0}}}
"""
PROMOTE = """
    on_failure: rollback
    never:
      - {name: Two writers, hosts: db, look: writer, expect: value == 'yes', at_least: 2}
    steps:
      - {name: Fence, hosts: a, set: {service: stopped}, undo: {set: {service: started}, idempotent: true}}
      - name: Promote
        hosts: b
        set: {role: primary}
        done_when: {look: role, expect: value == 'primary'}
        within: 10s
        irreversible: the old primary has to be rebuilt
      - {name: Point, hosts: app1, set: {backend: b}, undo: {set: {backend: a}, idempotent: true}}
"""
FENCED = "a service=stopped, b role=primary"
GUARDED = """
    guards:
      - {name: Is dark, hosts: a, look: up, expect: value == 'no'}
      - {name: Is well, hosts: b, look: up, expect: value == 'yes'}
    steps:
      - {name: Stop, hosts: a, set: {service: stopped}}
    always:
      - {name: Tell, set: {told: "{{ run.end }}"}}
"""
TELL = '    always:\n      - {name: Tell, set: {told: "{{ run.end }}"}}\n'
STOPS = "    steps:\n      - {name: Stop, hosts: a, set: {service: stopped}}\n"

CASES = [
    Case("verify held", STOPS + "    verify:\n      - {name: Served, look: served, expect: value == 'yes'}\n",
         start={"node": {"served": "yes"}}, moves="a service=stopped"),
    Case("verify did not hold", STOPS + "    verify:\n      - {name: Served, look: served, expect: value == 'yes'}\n",
         moves="a service=stopped", end="failed", why="Served does not hold"),
    Case("verify can't be told", STOPS + "    verify:\n      - {name: Served, look: served, expect: value == 'yes'}\n",
         silent="node served", moves="a service=stopped", end="failed", why="Served cannot be told"),
    # ---- refused: nothing was touched, and always says nothing
    Case("guards: all hold", GUARDED, start={"a": {"up": "no"}, "b": {"up": "yes"}},
         moves="a service=stopped, node told=succeeded"),
    Case("guards: all are taken and reported", GUARDED, end="refused",
         why="Is dark says no: a: value == 'no': value is null; Is well says no"),
    Case("guards: cannot be told", GUARDED, start={"a": {"up": "no"}}, silent="b up", end="refused",
         why="Is well cannot be told"),
    # ---- the way back
    Case("steps and units in reverse", BACK, faults=FAILS, moves=THERE + ", a two=0, b one=0, a one=0",
         end="rolled_back", states="1[a]#1 undone, 1[b]#1 undone, 2[a]#1 undone, 3[a]#1 failed"),
    Case("units of a block in reverse, each in reverse", """
    on_failure: rollback
    steps:
      - name: Block
        hosts: db
        batch: 1
        steps:
          - {name: One, set: {one: 1}, undo: {set: {one: 0}, idempotent: true}}
          - {name: Two, set: {two: 1}, undo: {set: {two: 0}, idempotent: true}}
      - {name: Three, hosts: a, set: {three: 1}}
    """, faults={"a 2[a]": Fault(rc=1)}, end="rolled_back",
         moves="a one=1, a two=1, b one=1, b two=1, a three=1, b two=0, b one=0, a two=0, a one=0"),
    Case("already and skipped owe nothing", """
    on_failure: rollback
    steps:
      - name: One
        hosts: a
        set: {one: 1}
        done_when: {look: one, expect: value == '1'}
        undo: {set: {one: 0}, idempotent: true}
      - {name: Two, hosts: a, set: {two: 1}, when: 1 == 2, undo: {set: {two: 0}, idempotent: true}}
      - {name: Three, hosts: a, set: {three: 1}}
    """, start={"a": {"one": "1"}}, faults=FAILS, moves="a three=1", end="rolled_back",
         states="1[a]#1 already, 2[a]#1 skipped"),
    Case("an undo looks first", LOOKING, faults={"a 1[a]": Fault(effect=False), "a 2[a]": Fault(rc=1)},
         start={"a": {"service": "started"}}, moves="a service=stopped, a then=1", end="rolled_back",
         states="1[a]#1 undone, 1[a]!undo#1 already"),
    Case("an undo for a failed step runs if it can look", LOOKING, faults={"a 1[a]": Fault(rc=1, effect=True)},
         moves="a service=stopped, a service=started", end="rolled_back", states="1[a]#1 undone"),
    Case("an undo for a failed step that can't tell is listed", UNSURE, faults={"b 2[b]": Fault(rc=1)},
         moves="a service=stopped, b then=1, a service=started", end="rollback_failed", left="2[b]#1",
         states="1[a]#1 undone, 2[b]#1 undo_failed"),
    Case("one failing undo doesn't stop the others", BACK, faults={**FAILS, "b 1[b]!undo": Fault(rc=1)},
         moves=THERE + ", a two=0, b one=0, a one=0", end="rollback_failed", left="1[b]#1",
         states="1[a]#1 undone, 1[b]#1 undo_failed, 2[a]#1 undone"),
    Case("an undo on an unreachable host is tried until it answers", BACK,
         faults={"a 3[a]": Fault(rc=1, away=120)}, moves=THERE + ", a two=0, b one=0, a one=0", end="rolled_back"),
    Case("an undo on an unreachable host is listed after rollback_within", "    rollback_within: 1m\n" + BACK,
         faults={"a 3[a]": Fault(rc=1, away=120)}, moves=THERE + ", b one=0", end="rollback_failed",
         left="1[a]#1, 2[a]#1"),
    Case("an undo whose answer is lost is waited for", BACK,
         faults={**FAILS, "b 1[b]!undo": Fault(lost="answer", away=120)},
         moves=THERE + ", a two=0, b one=0, a one=0", end="rolled_back"),
    Case("an undo elsewhere", """
    on_failure: rollback
    steps:
      - name: Fence
        hosts: a
        set: {service: stopped}
        undo: {set: {fence: "lifted from {{ host }}"}, hosts: b, idempotent: true}
      - {name: Then, hosts: b, set: {then: 1}}
    """, faults={"b 2[b]": Fault(rc=1)}, moves="a service=stopped, b then=1, b fence=lifted from a",
         end="rolled_back", states="1[a]!undo[b]#1 done"),
    Case("what went wrong in a unit's way back stays listed", """
    steps:
      - name: Block
        hosts: db
        batch: 1
        max_failures: 1
        on_failure: rollback
        steps:
          - {name: One, set: {one: 1}, undo: {set: {one: 0}, idempotent: true}}
          - {name: Two, set: {two: 1}}
      - {name: Three, hosts: b, set: {three: 1}}
    on_failure: rollback
    """, faults={"a 1[a].2": Fault(rc=1), "a 1[a].1!undo": Fault(rc=1), "b 2[b]": Fault(rc=1)},
         moves="a one=1, a two=1, a one=0, b one=1, b two=1, b three=1, b one=0", end="rollback_failed",
         left="1[a].1#1"),
    # ---- the point of no return
    Case("never is looked at before it", PROMOTE, start={"a": {"writer": "yes"}, "b": {"writer": "yes"}},
         moves="a service=stopped, a service=started", end="rolled_back", why="'Two writers' must never be, and it is"),
    Case("never that can't be told stops there too", PROMOTE, start={"a": {"writer": "yes"}}, silent="b writer",
         moves="a service=stopped, a service=started", end="rolled_back", why="it cannot be told"),
    Case("never is not tolerated as a failure of one host", """
    never:
      - {name: Two writers, hosts: a, look: writer, expect: value == 'yes'}
    steps:
      - {name: Promote, hosts: db, batch: 1, max_failures: 2, set: {role: primary}, irreversible: for good}
    """, start={"a": {"writer": "yes"}}, end="failed", why="must never be"),
    Case("a promotion that comes after its within: the old primary is not started again", PROMOTE,
         faults={"b 2[b]": Fault(late=60)}, turns=["dba-1 stop"], moves=FENCED, end="failed",
         states="1[a]#1 done, 2[b]#1 in_doubt", after={"a": {"service": "stopped"}}),
    Case("behind it rollback becomes ask", PROMOTE, faults={"app1 3[app1]": Fault(rc=1)},
         turns=["dba-1 again"], moves=FENCED + ", app1 backend=b, app1 backend=b"),
    Case("behind it a person may still say rollback", PROMOTE, faults={"app1 3[app1]": Fault(rc=1)},
         turns=["dba-1 rollback"], moves=FENCED + ", app1 backend=b, app1 backend=a, a service=started",
         end="rolled_back"),
    Case("a promotion that never started bars nothing", PROMOTE, faults={"b 2[b]": Fault(lost="unsent", away=60)},
         moves="a service=stopped, a service=started", end="rolled_back", states="2[b]#1 failed"),
    # ---- always
    Case("always: after a failure", STOPS + TELL, faults={"a 1[a]": Fault(rc=1)},
         moves="a service=stopped, node told=failed", end="failed"),
    Case("always: can't change the end", STOPS + TELL, faults={"node always.1": Fault(rc=1)},
         moves="a service=stopped, node told=succeeded"),
    Case("always: after the way back", BACK + TELL, faults=FAILS,
         moves=THERE + ", a two=0, b one=0, a one=0, node told=rolled_back", end="rolled_back"),
]  # fmt: skip
