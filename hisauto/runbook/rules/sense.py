# ruff: noqa: E501  (a table: an example is easier to read when its lines are whole)
"""HA110 to HA143: what is well written and can't be so."""

from __future__ import annotations

from hisauto.runbook.rules.rule import Rule

LOOK = "steps:\n  - name: Look\n    command: uptime\n    changes: no\n"

RULES = (
    Rule(
        "HA110",
        "an expression or template that can't be read",
        "It would come to light in mid-run, when it is too late to correct it.",
        bad=LOOK + "    expect: rc = 0\n",
        cured=LOOK + "    expect: rc == 0\n",
    ),
    Rule(
        "HA111",
        "an unknown name, or one that isn't there at this place",
        "An undefined name cannot be told: the step would wait for its time and then be in doubt.",
        bad=LOOK + "    expect: sdtout != ''\n",
        cured=LOOK + "    expect: stdout != ''\n",
    ),
    Rule(
        "HA112",
        "an undefined parameter",
        "What isn't defined under `params` can't be given, so it never has a value.",
        bad="params: {cluster: {type: group}}\nlocks: '{{ params.clutser }}'\n",
        cured="params: {cluster: {type: group}}\nlocks: '{{ params.cluster }}'\n",
    ),
    Rule(
        "HA113",
        "an undefined host, group or name in a pattern or under `hosts.`",
        "The inventory is the truth on hosts. A misspelt group would be no host at all.",
        bad="hosts: {apps: apps_of_his}\n",
        cured="hosts: {apps: app}\n",
    ),
    Rule(
        "HA114",
        "`before` where there is no before",
        "`before` is the same look just before the action; only a step's `done_when` is taken twice.",
        bad=LOOK + "    expect: stdout != before.stdout\n",
        cured="steps:\n  - name: Reboot\n    command: systemctl reboot\n    idempotent: true\n    done_when:\n"
        "      command: cat /proc/sys/kernel/random/boot_id\n      expect: stdout != before.stdout\n",
    ),
    Rule(
        "HA115",
        "a fact that nothing above registers",
        "People would be asked to sign for a fact that is never there.",
        bad="guards:\n  - {command: uptime, register: load}\nsteps:\n  - name: Agree\n    approve: {question: Go on?, "
        "facts: [laod], by: {dba: 1}}\n",
        cured="guards:\n  - {command: uptime, register: load}\nsteps:\n  - name: Agree\n    approve: {question: Go on?, "
        "facts: [load], by: {dba: 1}}\n",
    ),
    Rule(
        "HA116",
        "an id or a registered name is there twice",
        "Whoever reads it later can't tell which of the two is meant.",
        bad="guards:\n  - {command: uptime, register: load}\n  - {command: free, register: load}\n",
        cured="guards:\n  - {command: uptime, register: load}\n  - {command: free, register: memory}\n",
    ),
    Rule(
        "HA117",
        "registered under a name that expressions have already",
        "It would hide `hosts`, `params`, `run` and their like from every expression below.",
        bad=LOOK + "    register: hosts\n",
        cured=LOOK + "    register: load\n",
    ),
    Rule(
        "HA118",
        "a name under `hosts` that is also a group or host of the inventory",
        "The same word would mean other hosts here than everywhere else in the hospital.",
        bad="hosts: {app: his_db}\n",
        cured="hosts: {databases: his_db}\n",
    ),
    Rule(
        "HA120",
        "an action that changes something, or can't look, where only a look may stand",
        "Guards and `done_when` are taken in a plan, before anyone has agreed, and as often as it takes.",
        bad="guards:\n  - {hosts: app, power: 'on'}\n",
        cured="guards:\n  - {hosts: app, power: status, expect: state == 'on'}\n",
    ),
    Rule(
        "HA121",
        "`changes` or `measures` of a look outside of `verify`",
        "Only at the end may a look write (a canary) or measure a loss; before that it would spoil what it looks at.",
        bad="guards:\n  - {command: canary --write, changes: true}\n",
        cured="verify:\n  - {command: canary --write, changes: true}\n",
    ),
    Rule(
        "HA122",
        "what is irreversible would be tried again, by its own `retries` or by those of a block without `done_when`",
        "A second promotion on top of a first that came late makes two primaries.",
        bad="never:\n  - {hosts: db1, sql: select count(*) > 1 as two from writers, expect: row.two}\n"
        "steps:\n  - {name: Promote, hosts: db2, command: pg_ctl promote, irreversible: rebuild it, retries: 2}\n",
        cured="never:\n  - {hosts: db1, sql: select count(*) > 1 as two from writers, expect: row.two}\n"
        "steps:\n  - {name: Promote, hosts: db2, command: pg_ctl promote, irreversible: rebuild it}\n",
    ),
    Rule(
        "HA123",
        "a change on several hosts without `batch`",
        "Without it a bad change reaches all hosts at once. One host first is a choice that somebody has to make.",
        bad="steps:\n  - {name: Restart, hosts: app, command: systemctl restart his, idempotent: true}\n",
        cured="steps:\n  - {name: Restart, hosts: app, batch: [1, 25%], command: systemctl restart his, idempotent: true}\n",
    ),
    Rule(
        "HA124",
        "a way without a `done_when`, its own or the block's",
        "`ways` are tried until one has led there. Something has to tell that it has.",
        bad="steps:\n  - name: Stop it\n    ways:\n      - {name: Ask it, command: his stop, idempotent: true}\n"
        "      - {name: Kill it, command: pkill -KILL his, idempotent: true}\n",
        cured="steps:\n  - name: Stop it\n    done_when: {command: pgrep his, expect: rc == 1}\n    ways:\n"
        "      - {name: Ask it, command: his stop, idempotent: true}\n"
        "      - {name: Kill it, command: pkill -KILL his, idempotent: true}\n",
    ),
    Rule(
        "HA125",
        "a parameter's definition contradicts itself",
        "A default that its own type refuses would stop the run of whoever relies on it.",
        bad="params: {loss: {type: choice, of: [none, some], default: all}}\n",
        cured="params: {loss: {type: choice, of: [none, some], default: some}}\n",
    ),
    Rule(
        "HA127",
        "two files hold a runbook of the same name",
        "`hisauto run NAME` would take one of them, and nobody could say which.",
        bad="# in runbooks/example.yml, while runbooks/old/example.yml has the same name\n",
        cured="# one of the two files\n",
    ),
    Rule(
        "HA128",
        "a role or a file beside the runbook that isn't there, or can't work",
        "A run pins its roles, scripts, templates and playbooks. What isn't there can't be pinned, and the plan is refused.",
        bad="steps:\n  - {name: Patch, hosts: db1, role: wbe, idempotent: true}\n",
        cured="steps:\n  - {name: Patch, hosts: db1, role: web, idempotent: true}\n",
    ),
    Rule(
        "HA129",
        "a runbook whose name isn't its file's",
        "It is found by its file's name and is on record under its own: they have to be one.",
        bad="# in runbooks/restart.yml, whose first line is `runbook: example`\n",
        cured="# in runbooks/example.yml\n",
    ),
    Rule(
        "HA130",
        "`hosts` and `for_each` on one step",
        "A step's units are hosts or items. A block for the items, with a step for hosts in it, says which is inside.",
        bad="steps:\n  - {name: Warm, hosts: db1, for_each: [a, b], command: 'his warm {{ item }}', idempotent: true}\n",
        cured="steps:\n  - name: Warm\n    for_each: [a, b]\n    steps:\n"
        "      - {name: Warm, hosts: db1, command: 'his warm {{ item }}', idempotent: true}\n",
    ),
    Rule(
        "HA131",
        "a runbook as a step where none can be, or `with` without one",
        "It is planned once, with its parent: a host or an item is known later. `always` can't fail, and a runbook can.",
        bad="steps:\n  - {name: Restart, hosts: app, batch: 1, runbook: service-restart}\n",
        cured="steps:\n  - {name: Restart, runbook: service-restart, with: {on: app}}\n",
    ),
    Rule(
        "HA132",
        "a runbook as a step that isn't there, or isn't given what it takes",
        "It is planned with its parent, which is refused when it can't be. A runbook in itself would never end.",
        bad="# steps:\n#   - {name: Restart, runbook: service-restrat}\n",
        cured="# steps:\n#   - {name: Restart, runbook: service-restart, with: {service: his}}\n",
    ),
    Rule(
        "HA133",
        "a playbook without a `done_when`",
        "What a playbook does is its own affair: only a look at the state it is for can tell whether that is reached.",
        bad="steps:\n  - {name: Patch, hosts: db1, playbook: books/patch.yml, idempotent: true}\n",
        cured="steps:\n  - name: Patch\n    hosts: db1\n    playbook: books/patch.yml\n    idempotent: true\n    done_when: {command: test -e /etc/patched}\n",
    ),
    Rule(
        "HA140",
        "a secret where it would be seen, or `secrets` without a name",
        "Questions, conditions and messages are kept and shown; an argument list is public on its host. Secrets go by `env`, and by "
        "the fields that an action hands over in private.",
        bad="steps:\n  - {name: Look, command: 'mysql -p{{ secrets.his_db }} -e status', changes: no}\n",
        cured="steps:\n  - {name: Look, command: mysql -e status, env: {MYSQL_PWD: '{{ secrets.his_db }}'}, changes: no}\n",
    ),
    Rule(
        "HA141",
        "a secret that the site doesn't have",
        "The plan is refused: `secrets` in `hisauto.yml` says where each secret is.",
        bad="steps:\n  - {name: Look, command: mysql -e status, env: {MYSQL_PWD: '{{ secrets.hsi_db }}'}, changes: no}\n",
        cured="steps:\n  - {name: Look, command: mysql -e status, env: {MYSQL_PWD: '{{ secrets.his_db }}'}, changes: no}\n",
    ),
    Rule(
        "HA142",
        "a change without a window, or an emergency with one",
        "A change runs when the hospital can bear it, and says when that is. An emergency can't wait for that.",
        bad="window: night\n".join(
            ("runbook: example\nversion: 1.0.0\ntitle: An example\nkind: emergency\nowner: dba\n", LOOK)
        ),
        cured="runbook: example\nversion: 1.0.0\ntitle: An example\nkind: emergency\nowner: dba\n" + LOOK,
        whole=True,
    ),
    Rule(
        "HA143",
        "a window that the site doesn't have",
        "It would never open: `windows` in `hisauto.yml` names those there are.",
        bad="window: nihgt\n",
        cured="window: night\n",
    ),
)
