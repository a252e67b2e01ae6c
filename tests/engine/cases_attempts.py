"""What a step on one host comes to: ``docs/semantics.md``, *An attempt* and *Receipts*."""

from __future__ import annotations

from hisauto.testing.hosts import Fault, Host

from .play import Case

STOP = """
    steps:
      - name: Stop
        hosts: a
        set: {service: stopped}
        done_when: {look: service, expect: value == 'stopped'}
        within: 10s
"""
BLIND = """
    steps:
      - name: Stop
        hosts: a
        set: {service: stopped}
"""
CAREFREE = """
    steps:
      - name: Stop
        hosts: a
        set: {service: stopped}
        idempotent: true
"""
BEFORE = """
    steps:
      - name: Restart
        hosts: a
        set: {service: restarted}
        done_when: {look: boot, expect: boot != before.boot}
        within: 20s
"""
IRREVERSIBLE = STOP + "        irreversible: it is gone\n"
LOOKS = """
    steps:
      - name: Healthy
        hosts: a
        look: health
        expect: value == 'good'
        within: 5s
"""


def _restart_and_show(host: Host) -> None:
    host.restart()
    host.state["service"] = "stopped"


CASES = [
    Case("an action is done", BLIND, moves="a service=stopped", states="1[a]#1 done"),
    Case("an action is done when its effect is there", STOP, moves="a service=stopped", states="1[a]#1 done"),
    Case("already: nothing runs", STOP, start={"a": {"service": "stopped"}}, states="1[a]#1 already"),
    Case("before: never already, and the effect is a difference", BEFORE, faults={"a 1[a]": Fault(then=Host.restart)},
         moves="a service=restarted", states="1[a]#1 done"),
    Case("before: no difference is a known failure", BEFORE, moves="a service=restarted", states="1[a]#1 failed",
         end="failed", why="done_when does not hold"),
    Case("before that can't be told: the action never starts", BEFORE, silent="a boot", states="1[a]#1 failed",
         end="failed", why="how it is before the step cannot be told"),
    Case("before is taken where done_when looks", """
    steps:
      - name: Move
        hosts: a
        set: {service: moved}
        done_when: {look: boot, hosts: b, expect: boot != before.boot}
        within: 5s
    """, silent="a boot", moves="a service=moved", states="1[a]#1 failed", end="failed", why="done_when does not hold"),
    Case("unreachable: go_on is never already", STOP + "        unreachable: {go_on: it may be dead}\n",
         start={"a": {"service": "stopped"}}, moves="a service=stopped", states="1[a]#1 done"),
    Case("an exit code is a known failure", BLIND, faults={"a 1[a]": Fault(rc=1)}, moves="a service=stopped",
         states="1[a]#1 failed", end="failed"),
    Case("an exit code with the effect there is done", STOP, faults={"a 1[a]": Fault(rc=1, effect=True)},
         moves="a service=stopped", states="1[a]#1 done"),
    Case("an effect that comes late, but within", STOP, faults={"a 1[a]": Fault(late=8)}, moves="a service=stopped",
         states="1[a]#1 done"),
    Case("an exit code of 0 alone proves nothing", STOP, faults={"a 1[a]": Fault(effect=False)},
         moves="a service=stopped", states="1[a]#1 failed", end="failed"),
    Case("the effect can't be told: in doubt", STOP, silent="a service", turns=["dba-1 stop"],
         moves="a service=stopped", states="1[a]#1 in_doubt", end="failed", why="dba-1 decided: stop"),
    Case("retries after a known failure", BLIND + "        retries: 2\n", faults={"a 1[a]": Fault(rc=1, times=2)},
         moves="a service=stopped, a service=stopped, a service=stopped",
         states="1[a]#1 failed, 1[a]#2 failed, 1[a]#3 done"),
    Case("retries run out", BLIND + "        retries: 1\n", faults={"a 1[a]": Fault(rc=1, times=9)},
         moves="a service=stopped, a service=stopped", states="1[a]#2 failed, 1[a]#3 none", end="failed"),
    # ---- time-out and power
    Case("a time-out without a look is in doubt", BLIND + "        timeout: 5s\n", faults={"a 1[a]": Fault(takes=60)},
         turns=["dba-1 done"], moves="a service=stopped", states="1[a]#1 done"),
    Case("a time-out with a clear look is a known failure", STOP + "        timeout: 5s\n",
         faults={"a 1[a]": Fault(takes=60)}, moves="a service=stopped", states="1[a]#1 failed", end="failed"),
    Case("interrupt: never is not ended by its time-out", BLIND + "        timeout: 5s\n        interrupt: never\n",
         faults={"a 1[a]": Fault(takes=60)}, moves="a service=stopped", states="1[a]#1 done"),
    # ---- receipts
    Case("never reached: known not to have begun", BLIND, faults={"a 1[a]": Fault(lost="unsent", away=90)},
         states="1[a]#1 failed", end="failed", why="never started"),
    Case("not reached at first", BLIND, faults={"a 1[a]": Fault(lost="unsent", away=9)}, moves="a service=stopped",
         states="1[a]#1 done"),
    Case("the answer is lost: the receipt has it", BLIND, faults={"a 1[a]": Fault(lost="answer", away=9)},
         moves="a service=stopped", states="1[a]#1 done"),
    Case("the answer is lost: a failure is known too", BLIND, faults={"a 1[a]": Fault(rc=3, lost="answer", away=9)},
         moves="a service=stopped", states="1[a]#1 failed", end="failed"),
    Case("the line breaks while it runs: its end is waited for", BLIND,
         faults={"a 1[a]": Fault(takes=20, lost="running", away=9)}, moves="a service=stopped", states="1[a]#1 done"),
    Case("the line breaks before it starts: it is started, once", BLIND, faults={"a 1[a]": Fault(lost="unstarted")},
         moves="a service=stopped", states="1[a]#1 done"),
    Case("finished in an earlier boot, and the effect is there", STOP,
         faults={"a 1[a]": Fault(lost="answer", then=Host.restart)}, moves="a service=stopped", states="1[a]#1 done"),
    Case("finished in an earlier boot, and the effect is gone", STOP,
         faults={"a 1[a]": Fault(late=5, lost="answer", then=Host.restart)}, moves="a service=stopped",
         states="1[a]#1 failed", end="failed"),
    Case("finished in an earlier boot, and nothing to look at", BLIND, turns=["dba-1 again"],
         faults={"a 1[a]#1": Fault(lost="answer", then=Host.restart)}, moves="a service=stopped, a service=stopped",
         states="1[a]#1 in_doubt, 1[a]#2 done"),
    Case("died without an end: the look decides", STOP, turns=["dba-1 again"],
         faults={"a 1[a]#1": Fault(takes=9, lost="running", then=Host.die)},
         moves="a service=stopped, a service=stopped", states="1[a]#1 in_doubt, 1[a]#2 done"),
    Case("died without an end, and yet the effect is there", STOP,
         faults={"a 1[a]#1": Fault(takes=9, lost="running", then=_restart_and_show)}, moves="a service=stopped",
         states="1[a]#1 done"),
    Case("receipts wiped: another place, nothing is started again", BLIND, turns=["dba-1 done"],
         faults={"a 1[a]": Fault(lost="answer", then=Host.wipe)}, moves="a service=stopped", states="1[a]#1 done"),
    Case("receipts wiped before it started: nobody can tell", BLIND, turns=["dba-1 again"],
         faults={"a 1[a]#1": Fault(lost="unstarted", then=Host.wipe)}, moves="a service=stopped",
         states="1[a]#1 in_doubt, 1[a]#2 done"),
    Case("host gone for good: in doubt", BLIND, turns=["dba-1 stop"],
         faults={"a 1[a]": Fault(lost="answer", away=3600)}, moves="a service=stopped", states="1[a]#1 in_doubt",
         end="failed"),
    Case("no receipts: the look decides", STOP, without_receipts="a", faults={"a 1[a]": Fault(lost="answer")},
         moves="a service=stopped", states="1[a]#1 done"),
    Case("no receipts and no look: in doubt", BLIND, without_receipts="a", turns=["dba-1 stop"],
         faults={"a 1[a]": Fault(lost="answer")}, moves="a service=stopped", states="1[a]#1 in_doubt", end="failed"),
    Case("go_on: unreachable, and the effect is there all the same: done, and no undo is owed", """
    on_failure: rollback
    steps:
      - name: Fence
        hosts: a
        set: {service: stopped}
        unreachable: {go_on: it may be dead}
        done_when: {look: service, hosts: b, expect: value == 'gone'}
        undo: {set: {service: started}, idempotent: true}
      - {name: Then, hosts: b, set: {then: 1}}
    """, start={"b": {"service": "gone"}}, faults={"a 1[a]": Fault(lost="unsent", away=90), "b 2[b]": Fault(rc=1)},
         moves="b then=1", states="1[a]#1 done", end="rolled_back"),
    Case("go_on: unreachable, and nobody can tell: it never started", """
    steps:
      - name: Fence
        hosts: a
        set: {service: stopped}
        unreachable: {go_on: it may be dead}
        done_when: {look: service, hosts: b, expect: value == 'gone'}
        within: 5s
    """, silent="b service", faults={"a 1[a]": Fault(lost="unsent", away=90)}, states="1[a]#1 failed", end="failed",
         why="never started"),
    Case("no space: it never started", BLIND, faults={"a 1[a]": Fault(no_space=True)}, states="1[a]#1 failed",
         end="failed", why="never started"),
    # ---- when the end is not known
    Case("idempotent: run again", CAREFREE, faults={"a 1[a]#1": Fault(lost="answer", then=Host.wipe)},
         moves="a service=stopped, a service=stopped", states="1[a]#1 in_doubt, 1[a]#2 done"),
    Case("idempotent: twice by itself, then a person is asked", CAREFREE, turns=["dba-1 done"],
         faults={"a 1[a]": Fault(lost="answer", then=Host.wipe, times=9)},
         moves="a service=stopped, a service=stopped, a service=stopped",
         states="1[a]#1 in_doubt, 1[a]#2 in_doubt, 1[a]#3 done, 1[a]#4 none"),
    Case("in doubt, a person says again: it looks first", STOP, turns=["later; dba-1 again"],
         faults={"a 1[a]#1": Fault(lost="answer", late=50, away=14)}, moves="a service=stopped",
         states="1[a]#1 in_doubt, 1[a]#2 already"),
    # ---- the point of no return
    Case("irreversible and not seen within: in doubt, never failed", IRREVERSIBLE,
         faults={"a 1[a]": Fault(effect=False)}, turns=["dba-1 stop"], moves="a service=stopped",
         states="1[a]#1 in_doubt", end="failed"),
    Case("irreversible: its own refusal is a failure", IRREVERSIBLE, faults={"a 1[a]": Fault(rc=1)},
         moves="a service=stopped", states="1[a]#1 failed", end="failed"),
    # ---- steps that only look
    Case("a look is polled until within", LOOKS, start={"a": {"health": "good"}}, states="1[a]#1 done"),
    Case("a look that says no", LOOKS, states="1[a]#1 failed", end="failed"),
    Case("a look that can't be told is no success", LOOKS, silent="a health", states="1[a]#1 failed", end="failed",
         why="ended by timeout"),
    Case("text is no truth", "    steps:\n      - {name: Look, hosts: a, look: health, expect: value}\n",
         start={"a": {"health": "yes"}}, states="1[a]#1 failed", end="failed", why="neither true nor false"),
    # ---- when, register
    Case("when false: skipped", BLIND + "        when: 1 == 2\n", states="1[a]#1 skipped"),
    Case("when that can't be told fails the step", """
    steps:
      - {name: Look, hosts: a, look: health, register: health}
      - {name: Stop, hosts: a, set: {service: stopped}, when: health.value}
    """, states="1[a]#1 done, 2[a]#1 none", end="failed", why="cannot be told"),
    Case("what a step registers is there for the next", """
    steps:
      - {name: Look, hosts: db, look: health, batch: 1, register: health}
      - name: Note
        set: {seen: "{{ health.hosts['b'].value }}"}
    """, start={"a": {"health": "bad"}, "b": {"health": "good"}}, moves="node seen=good", states="2#1 done"),
    Case("a joint look registers each host's answer", """
    steps:
      - {name: Look, hosts: db, look: health, at_least: 1, register: health, expect: value == 'good'}
      - name: Note
        set: {seen: "{{ health.hosts['a'].value }}"}
    """, start={"a": {"health": "bad"}, "b": {"health": "good"}}, moves="node seen=bad", states="2#1 done"),
    Case("already registers its probe", """
    steps:
      - name: Stop
        hosts: a
        set: {service: stopped}
        done_when: {look: service, expect: value == 'stopped'}
        register: stop
      - {name: Note, set: {seen: "{{ stop.value }}"}}
    """, start={"a": {"service": "stopped"}}, moves="node seen=stopped", states="1[a]#1 already"),
]  # fmt: skip
