# ruff: noqa: E501  (a table: an example is easier to read when its lines are whole)
"""HA150 on: warnings. It can be run; whether that is wise is a person's to say (``accept``)."""

from __future__ import annotations

from hisauto.runbook.rules.rule import Rule

NEVER = "never:\n  - {hosts: his_db, sql: select true as writer, expect: row.writer, at_least: 2}\n"
PROMOTE = (
    "steps:\n  - name: Promote\n    hosts: db2\n    command: pg_ctl promote\n    irreversible: rebuild the old one\n"
)
MASK = "steps:\n  - name: Keep it down\n    hosts: db1\n    command: systemctl mask his\n"
AFTER = PROMOTE.removeprefix("steps:\n")
FENCE = (
    "steps:\n  - name: Fence\n    hosts: db1\n    command: systemctl stop postgresql\n"
    "    unreachable: {go_on: it may have lost its network only}\n"
    "    undo: {command: systemctl start postgresql, done_when: {sql: select 1}}\n"
)

RULES = (
    Rule(
        "HA150",
        "an undo that won't run when the step's end is unknown",
        "After a failure, or in doubt, an undo runs only when it can look first or may run in any case. This one would "
        "be left to a person.",
        bad=MASK + "    undo: {command: systemctl unmask his}\n",
        cured=MASK + "    undo:\n      command: systemctl unmask his\n"
        "      done_when: {command: systemctl is-enabled his, expect: stdout != 'masked'}\n",
        severity="warning",
    ),
    Rule(
        "HA151",
        "an undo beside `irreversible`",
        "Behind the point of no return nothing is undone by itself, so this undo never runs; a reader would rely on it.",
        bad=NEVER + PROMOTE + "    undo: {command: pg_ctl demote, done_when: {sql: select 1}}\n",
        cured=NEVER + PROMOTE,
        severity="warning",
    ),
    Rule(
        "HA152",
        "a changing step without a way back",
        "When a later step fails or somebody cancels, this change stays. Give it an `undo`; or say `irreversible`, or "
        "`idempotent` where running it again mends it (that is no way back under `on_failure: rollback`). None is needed "
        "behind an irreversible step, under `always`, or by a restart that `done_when` compares with `before`.",
        bad=MASK,
        cured=MASK + "    undo:\n      command: systemctl unmask his\n"
        "      done_when: {command: systemctl is-enabled his, expect: stdout != 'masked'}\n",
        severity="warning",
    ),
    Rule(
        "HA153",
        "a look that can't fail",
        "It says yes whatever it finds, so it guards nothing: a constant, an `expect` that uses nothing of what was "
        "looked at, `at_least: 0`, or a script that ends with `|| true`.",
        bad="guards:\n  - {name: The service answers, shell: curl -sf localhost:8080/health || true}\n",
        cured="guards:\n  - {name: The service answers, shell: 'curl -sf localhost:8080/health'}\n",
        severity="warning",
    ),
    Rule(
        "HA154",
        "a `done_when` that doesn't look at the effect",
        "A service that runs is `active` before a restart too: the step would be *already* and skipped. Compare with "
        "`before`. The same holds where nothing is looked at, or where the look is the action itself.",
        bad="steps:\n  - name: Restart\n    command: systemctl restart his\n    idempotent: true\n"
        "    done_when: {command: systemctl is-active his}\n",
        cured="steps:\n  - name: Restart\n    command: systemctl restart his\n    idempotent: true\n    done_when:\n"
        "      command: systemctl show -p MainPID his\n      expect: stdout != before.stdout\n",
        severity="warning",
    ),
    Rule(
        "HA155",
        "a gate without facts",
        "Who signs at three in the morning signs what is on the card. Without facts it is a question to be believed.",
        bad="steps:\n  - name: Agree\n    approve: {question: 'Promote db2?', by: {dba: 1}}\n",
        cured="guards:\n  - {hosts: db2, sql: select now() - pg_last_xact_replay_timestamp() as lag, register: lag}\n"
        "steps:\n  - name: Agree\n    approve: {question: 'Promote db2?', facts: [lag], by: {dba: 1}}\n",
        severity="warning",
    ),
    Rule(
        "HA156",
        "an undo that doesn't look",
        "Its exit code alone would count as *undone*, and a run as rolled back, with nothing that tells whether the "
        "effect is gone.",
        bad=MASK + "    undo: {command: systemctl unmask his, idempotent: true}\n",
        cured=MASK + "    undo:\n      command: systemctl unmask his\n      idempotent: true\n"
        "      done_when: {command: systemctl is-enabled his, expect: stdout != 'masked'}\n",
        severity="warning",
    ),
    Rule(
        "HA157",
        "a fence seen from one side only",
        "A host that doesn't answer one of us may still serve others, and a refusal may be a firewall's. Where an unreachable "
        "host is left out, its power controller has the last word; silence needs two sides at least, proxies and clients.",
        bad=NEVER
        + FENCE
        + "    done_when: {hosts: app, sql: {on: db1, query: select 1}, expect: refused, holds: 5s}\n"
        + AFTER,
        cured=NEVER
        + FENCE
        + "    done_when: {power: status, expect: state == 'off', holds: 5s}\n"
        + AFTER,
        severity="warning",
    ),
    Rule(
        "HA158",
        "an irreversible step without `never`",
        "`never` is looked at just before the point of no return and stops there: two writers, a standby that is behind. "
        "Guards were taken minutes ago, before people were asked.",
        bad=PROMOTE,
        cured=NEVER + PROMOTE,
        severity="warning",
    ),
    Rule(
        "HA159",
        "something accepted that isn't there",
        "`accept` names a warning and why it is all right here. When the warning is gone, so is the reason; an error "
        "can't be accepted.",
        bad="steps:\n  - {name: Look, command: uptime, changes: no, accept: {HA152: it only looks}}\n",
        cured="steps:\n  - {name: Look, command: uptime, changes: no}\n",
        severity="warning",
    ),
)
