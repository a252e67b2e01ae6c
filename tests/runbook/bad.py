# ruff: noqa: E501  (a table: a case is easier to read on its own line)
"""Files with one mistake each. ``▸`` stands before the place that the message has to name; it is taken out first."""

from __future__ import annotations

from dataclasses import dataclass

from hisauto.runbook.rules.rule import HEAD, STEPS

STEP = HEAD + "steps:\n  - name: Do it\n"
GATE = HEAD + "steps:\n  - name: Ask\n    approve:\n      question: Go on?\n"
LOOK = HEAD + STEPS


@dataclass(frozen=True)
class Bad:
    """A file, and what is to be said of it."""

    id: str
    code: str
    text: str
    message: str
    hint: str = ""
    severity: str = "error"


BAD = [
    # The file
    Bad("empty file", "HA003", "", "the file is empty"),
    Bad("only a comment", "HA003", "# nothing yet\n", "the file is empty"),
    Bad("tab", "HA005", HEAD + "hosts:\n▸\tapps: app\n" + STEPS, "a tab in the indentation", "spaces"),
    Bad("bad indent", "HA004", HEAD + "steps:\n  - name: a\n    command: b\n   ▸changes: no\n", "not YAML"),
    Bad("duplicate key", "HA006", HEAD + "▸owner: apps\n" + STEPS, "'owner' is there twice", "line 5"),
    Bad("tag", "HA007", HEAD + "description: ▸!!python/object/apply:os.system [id]\n" + STEPS, "the tag"),
    Bad("alias to itself", "HA008", HEAD + "params: &a\n  x: ▸*a\n" + STEPS, "never end"),
    Bad("two documents", "HA010", HEAD + STEPS + "▸---\nmore: of it\n", "a second document"),
    Bad("playbook", "HA100", "▸- hosts: all\n  tasks:\n    - command: uptime\n", "an Ansible playbook", "role: NAME"),
    Bad("list", "HA100", "▸- a\n- b\n", "a runbook is a mapping, and this is a list"),
    Bad("text", "HA100", "▸Restart everything.\n", "a runbook is a mapping, and this is text"),
    # Words and values
    Bad("unknown field", "HA101", HEAD + "▸gards: []\n" + STEPS, "unknown word 'gards'", "'guards'"),
    Bad("unknown field of a step", "HA101", STEP + "    command: a\n    ▸retrys: 3\n", "'retrys'", "'retries'"),
    Bad("unknown action", "HA101", STEP + "    ▸comand: uptime\n", "unknown word 'comand'", "'command'"),
    Bad("unknown action, as for a program", "HA101", STEP + "    command: b\n    ▸action: {kind: command}\n", "'action'"),
    Bad("unknown field of a look", "HA101", STEP + "    command: a\n    done_when: {command: b, ▸expext: c}\n", "'expext'",
        "'expect'"),
    Bad("unknown field of an action", "HA101", STEP + "    http: {▸uri: x, url: y}\n    changes: no\n", "'uri'", "'url'"),
    Bad("unknown field of hosts", "HA101", HEAD + "hosts:\n  db:\n    pattern: app\n    ▸exacly: 1\n" + STEPS, "'exacly'",
        "'exactly'"),
    Bad("unknown field of a parameter", "HA101", HEAD + "params:\n  to: {▸typ: text}\n" + STEPS, "'typ'", "'type'"),
    Bad("missing owner", "HA102", "▸" + HEAD.replace("owner: dba\n", "") + STEPS, "'owner' is missing"),
    Bad("missing name", "HA102", HEAD + "steps:\n  - ▸command: uptime\n    changes: no\n", "'name' is missing"),
    Bad("missing field of an action", "HA102", STEP + "    http: ▸{method: GET}\n", "'url' is missing"),
    Bad("gate without by", "HA102", HEAD + "steps:\n  - name: Ask\n    approve:\n      ▸question: Go on?\n",
        "'by' is missing", "roles"),
    Bad("no reason to go on", "HA102", STEP + "    command: a\n    unreachable: ▸{}\n", "'go_on' is missing", "say why"),
    Bad("list for a text", "HA103", HEAD.replace("owner: dba", "owner: ▸[dba]") + STEPS, "expected text, not a list"),
    Bad("empty text", "HA103", HEAD.replace("owner: dba", "owner: ▸''") + STEPS, "it is empty"),
    Bad("text for a list", "HA103", HEAD + "steps: ▸restart\n", "expected a list, not 'restart'"),
    Bad("text for a step", "HA103", HEAD + "steps:\n  - ▸uptime\n", "expected a mapping, not 'uptime'"),
    Bad("no steps", "HA103", HEAD + "steps: ▸[]\n", "it is empty"),
    Bad("bad kind", "HA103", HEAD.replace("drill", "▸panic") + STEPS, "expected emergency, drill, change"),
    Bad("bad level", "HA103", HEAD + "answers: [1, ▸5]\n" + STEPS, "a fault level from 1 to 4, not '5'"),
    Bad("bad version", "HA103", HEAD.replace("1.0.0", "▸1.10") + STEPS, "expected a version like 1.2.0, not '1.10'"),
    Bad("bad runbook name", "HA103", HEAD.replace("example\n", "▸My Example\n", 1) + STEPS, "small letters"),
    Bad("bad duration", "HA103", STEP + "    command: a\n    within: ▸5 minutes\n", "a duration like 90s, 5m or 1h30m"),
    Bad("a number is no duration", "HA103", STEP + "    command: a\n    within: ▸30\n", "a duration like 90s"),
    Bad("units out of order", "HA103", STEP + "    command: a\n    within: ▸5m1h\n", "units in order"),
    Bad("endless duration", "HA103", STEP + "    command: a\n    within: ▸99999d\n", "between 0s and 3650d"),
    Bad("template for a duration", "HA103", STEP + "    command: a\n    within: ▸'{{ params.x }}'\n", "a template can't"),
    Bad("bad number", "HA103", STEP + "    command: a\n    retries: ▸-1\n", "a whole number like 0 or 3"),
    Bad("bad flag", "HA103", STEP + "    command: a\n    idempotent: ▸maybe\n", "expected true or false, not 'maybe'"),
    Bad("bad batch", "HA103", STEP + "    command: a\n    batch: [1, ▸120%]\n", "like 1 or 25%, not '120%'"),
    Bad("bad name", "HA103", HEAD + "hosts:\n  ▸his-db: app\n" + STEPS, "a name of small letters, digits and _"),
    Bad("name is a word", "HA103", HEAD + "params:\n  ▸in: {}\n" + STEPS, "is a word of the expressions"),
    Bad("bad user", "HA103", STEP + "    command: a\n    become: ▸root -c\n", "a user of the host, like postgres"),
    Bad("bad variable", "HA103", STEP + "    command: a\n    env: {▸LC-ALL: C}\n", "the name of an environment variable"),
    Bad("bad language", "HA103", HEAD.replace("An example", "{▸English: An example}") + STEPS, "a language like en or zh"),
    Bad("bad field of an action", "HA103", STEP + "    power: ▸'no'\n", "expected on, off or status, not 'no'"),
    Bad("no program", "HA103", STEP + "    command: ▸''\n", "command: it is empty"),
    Bad("a quote that never ends", "HA103", STEP + "    command: ▸echo '{{ run.id }}\n", "no closing quotation"),
    Bad("text for a mapping", "HA103", STEP + "    copy: ▸motd\n", "copy: expected a mapping", "dest"),
    Bad("otherwise: continue", "HA103", GATE + "      by: {dba_lead: 1}\n      otherwise: ▸continue\n",
        "expected deny or escalate, not 'continue': a gate that nobody answers never opens"),
    Bad("a quorum of 0", "HA103", GATE + "      by: {dba_lead: ▸0}\n", "a quorum of 0 approves nothing"),
    Bad("a gate by nobody", "HA103", GATE + "      by: ▸{}\n", "it is empty"),
    Bad("one choice", "HA103", GATE + "      by: {dba_lead: 1}\n      choices: ▸[adopt]\n", "two choices or more, each once"),
    Bad("a choice twice", "HA103", GATE + "      by: {dba_lead: 1}\n      choices: ▸[adopt, adopt]\n", "each once"),
    Bad("no is no choice", "HA103", GATE + "      by: {dba_lead: 1}\n      choices: ▸[adopt, no]\n", "'no' is no choice"),
    Bad("a choice with a space", "HA103", GATE + "      by: {dba_lead: 1}\n      choices: [adopt, ▸leave it]\n", "small letters"),
    Bad("no items", "HA103", STEP + "    for_each: ▸[]\n    command: a\n", "expected a list"),
    Bad("a mapping for items", "HA103", STEP + "    for_each: ▸{a: b}\n    command: a\n", "not a mapping"),
    Bad("nothing side by side", "HA103", STEP + "    together: ▸[]\n", "it is empty"),
    Bad("a person's work by nobody", "HA102", STEP + "    manual: ▸{do: Turn the key}\n", "'by' is missing"),
    Bad("a person's work without words", "HA102", STEP + "    manual: ▸{by: duty}\n", "'do' is missing"),
    Bad("a role with a space", "HA103", STEP + "    manual: {do: Turn the key, by: ▸duty manager}\n", "small letters"),
    Bad("unknown field of a person's work", "HA101", STEP + "    manual: {do: x, by: duty, ▸proof: y}\n", "'proof'"),
    Bad("a bad name of a runbook", "HA103", STEP + "    runbook: ▸Restart it\n", "small letters, digits and hyphens"),
    Bad("a bad parameter of a runbook", "HA103", STEP + "    runbook: restart\n    with: {▸his-service: x}\n", "small letters"),
    Bad("the planner's word", "HA101", STEP + "    command: a\n    ▸part: x\n", "unknown word 'part'"),
    Bad("two actions", "HA104", STEP + "    command: uptime\n    ▸shell: uptime\n",
        "several actions: 'command' (line 8) and 'shell' (line 9)", "two steps"),
    Bad("action and gate", "HA104", GATE + "      by: {dba_lead: 1}\n    ▸steps:\n      - {name: x, command: y}\n",
        "'approve' (line 8) and 'steps' (line 11)"),
    Bad("two actions in a look", "HA104", STEP + "    command: a\n    done_when: {sql: b, ▸http: {url: c}}\n", "'sql' (line 9)"),
    Bad("nothing to do", "HA105", HEAD + "steps:\n  - ▸name: Think\n", "the step does nothing"),
    Bad("nothing to look at", "HA105", HEAD + "guards:\n  - ▸name: Think\n" + STEPS, "nothing is looked at"),
    Bad("nothing to undo with", "HA105", STEP + "    command: a\n    undo: ▸{idempotent: true}\n", "the undo does nothing"),
    # Expressions and names
    Bad("expression", "HA110", LOOK + "    expect: ▸rc = 0\n", "not a valid expression"),
    Bad("expression in braces", "HA110", LOOK + "    expect: ▸'{{ rc == 0 }}'\n", "not a valid expression", "without {{ }}"),
    Bad("template", "HA110", STEP + "    command: ▸echo {{ params.x\n", "not a valid template: unexpected end"),
    Bad("unknown filter", "HA110", LOOK + "    expect: ▸stdout | random == 1\n", "No filter named 'random'"),
    Bad("unknown name", "HA111", LOOK + "    expect: ▸sdtout == 'up'\n", "unknown name 'sdtout'", "'stdout'"),
    Bad("unknown name, a parameter", "HA111", HEAD + "params: {to: {}}\n" + STEPS + "    expect: ▸to == 'up'\n",
        "unknown name 'to'", "'params.to'"),
    Bad("registered later", "HA111", STEP + "    when: ▸later.rc == 0\n    command: a\n  - name: Later\n    command: b\n"
        "    register: later\n", "unknown name 'later'"),
    Bad("unknown result", "HA111", LOOK + "    register: up\n  - name: Then\n    when: ▸up.stduot == ''\n    command: a\n",
        "'up' has no 'stduot'", "'stdout'"),
    Bad("host without hosts", "HA111", STEP + "    command: ▸echo {{ host }}\n", "this is not on a host", "hosts"),
    Bad("item without a list", "HA111", STEP + "    command: ▸echo {{ item }}\n", "for no item of a list", "for_each"),
    Bad("side by side, and waiting for the other", "HA111", HEAD + "steps:\n  - name: Both\n    together:\n"
        "      - {name: One, command: a, register: one}\n      - {name: Two, command: b, when: ▸one.rc == 0}\n",
        "unknown name 'one'"),
    Bad("a runbook's parameter from the unit", "HA111", STEP + "    runbook: service-restart\n    with: {host: ▸'{{ host }}'}\n",
        "this is not on a host"),
    Bad("an answer has no such field", "HA111", GATE + "      by: {dba_lead: 1}\n    register: said\n  - name: Then\n"
        "    when: ▸said.anser == 'yes'\n    command: a\n", "'said' has no 'anser'", "'answer'"),
    Bad("clock", "HA111", LOOK + "    expect: ▸now() == 1\n", "unknown name 'now'"),
    Bad("missing parameter definition", "HA112", HEAD + "params: {cluster: {}}\n" + STEPS + "    expect: ▸params.clutser == ''\n",
        "there is no parameter 'clutser'", "'cluster'"),
    Bad("unknown host pattern", "HA113", STEP + "    hosts: ▸his_bd\n    batch: 1\n    command: a\n",
        "there is no host, group or name 'his_bd'", "'his_db'"),
    Bad("unknown part of a pattern", "HA113", STEP + "    hosts: ▸his_db:!db7\n    batch: 1\n    command: a\n", "'db7'"),
    Bad("unknown host name", "HA113", HEAD + "hosts: {apps: app}\n" + STEPS + "    expect: ▸stdout in hosts.aps\n",
        "there is no name 'aps' under hosts", "'apps'"),
    Bad("name before its definition", "HA113", HEAD + "hosts:\n  apps: ▸app:!rest\n  rest: his_db\n" + STEPS, "defined below"),
    Bad("before without a look before", "HA114", LOOK + "    expect: ▸stdout != before.stdout\n", "in the done_when of a step"),
    Bad("fact", "HA115", HEAD + "guards:\n  - {command: lag, register: lag}\nsteps:\n  - name: Ask\n    approve:\n"
        "      question: Go on?\n      by: {dba_lead: 1}\n      facts: [lag, ▸lga]\n", "nothing above registers 'lga'", "'lag'"),
    Bad("two ids", "HA116", LOOK + "    id: look\n  - name: Again\n    command: uptime\n    id: ▸look\n",
        "the id 'look' is there twice; the first one is on line 10"),
    Bad("two results of a name", "HA116", LOOK + "    register: up\n  - name: Again\n    command: uptime\n    register: ▸up\n",
        "the registered name 'up' is there twice"),
    Bad("reserved name", "HA117", LOOK + "    register: ▸hosts\n", "that every expression has already"),
    Bad("host name is a group", "HA118", HEAD + "hosts:\n  ▸app: his_db\n" + STEPS, "'app' is also a group"),
    Bad("host name is a host", "HA118", HEAD + "hosts:\n  ▸db1: his_db\n" + STEPS, "'db1' is also a host"),
    # Sense
    Bad("changing action in a guard", "HA120", HEAD + "guards:\n  - ▸power: 'off'\n" + STEPS, "changes something"),
    Bad("role in a guard", "HA120", HEAD + "guards:\n  - ▸role: web\n" + STEPS, "'role' can't just look", "command"),
    Bad("POST in a done_when", "HA120", STEP + "    command: a\n    done_when:\n      ▸http: {url: x, method: POST}\n",
        "changes something"),
    Bad("changing action in where", "HA120", HEAD + "hosts:\n  db:\n    pattern: app\n    where: {▸power: 'on'}\n" + STEPS,
        "changes something"),
    Bad("changing action in never", "HA120", HEAD + "never:\n  - {▸power: 'on'}\n" + STEPS, "changes something"),
    Bad("changing action in verify", "HA120", HEAD + STEPS + "verify:\n  - ▸http: {url: x, method: POST}\n", "changes something"),
    Bad("a role that says it looks", "HA120", STEP + "    ▸role: web\n    changes: no\n", "can't just look"),
    Bad("a canary in a guard", "HA121", HEAD + "guards:\n  - {command: a, ▸changes: yes}\n" + STEPS, "only a look under verify"),
    Bad("a measure in a guard", "HA121", HEAD + "guards:\n  - {command: a, ▸measures: {rpo: rc}}\n" + STEPS, "measures"),
    Bad("irreversible with retries", "HA122", STEP + "    command: a\n    irreversible: gone\n    ▸retries: 2\n", "blindly"),
    Bad("irreversible in a block with retries", "HA122", HEAD + "steps:\n  - name: Block\n    ▸retries: 2\n    steps:\n"
        "      - {name: x, command: a, irreversible: gone}\n", "blindly", "give the block a done_when"),
    Bad("hosts and items", "HA130", STEP + "    hosts: db1\n    ▸for_each: [a, b]\n    command: a {{ item }}\n",
        "for hosts or for items", "into a block"),
    Bad("a runbook for each host", "HA131", STEP + "    hosts: app\n    batch: 1\n    ▸runbook: service-restart\n",
        "can't be a unit's", "parameter"),
    Bad("a runbook in a block for items", "HA131", HEAD + "steps:\n  - name: Each\n    for_each: [a, b]\n    steps:\n"
        "      - {name: x, ▸runbook: service-restart}\n", "can't be a unit's"),
    Bad("with, and no runbook", "HA131", STEP + "    command: a\n    ▸with: {a: b}\n", "a step that is a runbook"),
    Bad("several hosts at once", "HA123", STEP + "    hosts: ▸app\n    command: a\n", "several hosts", "batch"),
    Bad("several hosts by a name", "HA123", HEAD + "hosts: {apps: app}\n" + STEPS + "  - name: Do it\n    hosts: ▸apps\n"
        "    command: a\n", "several hosts"),
    Bad("a block on several hosts", "HA123", HEAD + "steps:\n  - name: Block\n    hosts: ▸app\n    steps:\n"
        "      - {name: x, command: y}\n", "several hosts"),
    Bad("a way that nobody sees", "HA124", HEAD + "steps:\n  - name: Fence\n    ways:\n      - name: ▸One\n        command: a\n"
        "      - {name: Two, command: b, done_when: {command: c}}\n", "whether this way led there"),
    Bad("choice of nothing", "HA125", HEAD + "params:\n  ▸loss: {type: choice}\n" + STEPS, "a choice needs its values"),
    Bad("values without a choice", "HA125", HEAD + "params:\n  ▸loss: {of: [a]}\n" + STEPS, "'of' is for type: choice"),
    Bad("default that isn't a choice", "HA125", HEAD + "params:\n  loss: {type: choice, of: [a, b], default: ▸c}\n" + STEPS,
        "one of a, b, not 'c'"),
    Bad("default of another type", "HA125", HEAD + "params:\n  lag: {type: duration, default: ▸soon}\n" + STEPS, "a duration"),
    Bad("no code of a rule", "HA103", STEP + "    command: a\n    accept: {▸HA1: why}\n", "a rule's code, like HA152"),
    Bad("no reason to accept", "HA103", STEP + "    command: a\n    accept: {HA152: ▸''}\n", "it is empty"),
    Bad("a secret in an argument list", "HA140", STEP + "    command: [mysql, ▸'-p{{ secrets.db }}']\n", "a secret can't stand in "
        "command's argv", "env"),
    Bad("a secret in a script", "HA140", STEP + "    shell: ▸echo {{ secrets.db }}\n", "shell's script"),
    Bad("a secret in a question", "HA140", HEAD + "steps:\n  - name: Ask\n    approve: {question: ▸'{{ secrets.db }}?', by: {dba: 1}}\n",
        "a question"),
    Bad("a secret in a message", "HA140", HEAD + "steps:\n  - name: Tell\n    notify: {to: dba, text: ▸'{{ secrets.db }}'}\n",
        "a message"),
    Bad("a secret in an expectation", "HA140", LOOK + "    expect: ▸stdout == secrets.db\n", "expect"),
    Bad("a secret in a condition", "HA140", STEP + "    command: a\n    when: ▸secrets.db == ''\n", "when"),
    Bad("a secret in a pattern", "HA140", STEP + "    hosts: ▸'{{ secrets.db }}'\n    batch: 1\n    command: a\n", "a host pattern"),
    Bad("a secret in a lock", "HA140", HEAD + "locks: [▸'{{ secrets.db }}']\n" + STEPS, "a lock's name"),
    Bad("a secret in an undo's command", "HA140", STEP + "    command: a\n    undo: {command: ▸'b {{ secrets.db }}', "
        "idempotent: yes}\n", "command's argv"),
    Bad("all secrets", "HA140", STEP + "    command: a\n    env: {A: ▸'{{ secrets | tojson }}'}\n", "say which"),
    Bad("a secret by a name unknown yet", "HA140", HEAD + "params: {which: {}}\n" + STEP[len(HEAD):]
        + "    command: a\n    env: {A: ▸'{{ secrets[params.which] }}'}\n", "say which"),
    Bad("unknown secret", "HA141", STEP + "    command: a\n    env: {A: ▸'{{ secrets.bd }}'}\n", "no secret 'bd'", "known: db"),
    Bad("unknown secret by default", "HA141", HEAD + "params:\n  login: {type: secret, default: ▸dd}\n" + STEPS,
        "no secret 'dd'", "known: db"),
    Bad("a change without a window", "HA142", HEAD.replace("drill", "▸change") + STEPS, "a change needs a window", "window: NAME"),
    Bad("an emergency with a window", "HA142", HEAD.replace("drill", "emergency") + "▸window: night\n" + STEPS, "bound by no window", "leave it out"),
    Bad("unknown window", "HA143", HEAD.replace("drill", "change\nwindow: ▸nihgt") + STEPS, "no window 'nihgt'", "'night'"),
    Bad("a playbook on its word", "HA133", STEP + "    hosts: app1\n    ▸playbook: books/x.yml\n", "only a done_when can tell",
        "done_when"),
    Bad("an undo by a playbook", "HA133", STEP + "    command: a\n    undo: {▸playbook: books/x.yml, idempotent: yes}\n",
        "only a done_when can tell"),
]  # fmt: skip
