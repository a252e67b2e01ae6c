"""Files beside a runbook: checked, pinned, shown in a plan, put on a host over a real sshd, and left alone after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TestSite
from tests.transports.places import Sshd, start_sshd, stop_sshd

BOOK = """\
runbook: files
version: 1.0.0
title: Put files there
kind: routine
owner: dba
params:
  to: {help: where}
hosts:
  ready: {pattern: h1, where: {script: scripts/ready.sh}}
steps:
  - name: One agrees
    approve: {question: "Write?", by: {dba: 1}}
  - name: Settings
    hosts: ready
    batch: 1
    template: {src: app.conf.j2, dest: "{{ params.to }}/app.conf", mode: "0640"}
    vars: {data: "{{ '{{ host }}' }}"}
    register: settings
  - name: Secret
    hosts: ready
    batch: 1
    copy: {content: "token {{ settings.sha256 }}\\n", dest: "{{ params.to }}/token", backup: yes}
    no_log: true
  - name: Tell
    hosts: ready
    batch: 1
    script: {file: scripts/tell.sh, args: ["{{ params.to }}", "two words"]}
    done_when: {script: {file: scripts/tell.sh, args: [--look, "{{ params.to }}"]}}
"""
FAILS = """\
runbook: back
version: 1.0.0
title: It goes back
kind: routine
owner: dba
on_failure: rollback
params:
  to: {help: where}
steps:
  - name: New
    hosts: h1
    copy: {content: new, dest: "{{ params.to }}/it"}
    undo:
      copy: {content: "{{ '{{ params.to }}' }} old", dest: "{{ params.to }}/it"}
  - name: No
    command: "false"
"""
FILES = {
    "app.conf.j2": "{% for name in [host, data] %}\n{{ name }} {{ vars.ansible_host }}\n{% endfor %}\n",
    "scripts/ready.sh": "#!/bin/sh\necho ready\n",
    "scripts/tell.sh": '#!/bin/sh\nif [ "$1" = --look ]; then test -s "$2/told"; else echo "$2" >"$1/told"; fi\n',
}


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_sshd(server)


@pytest.fixture
def there(site: TestSite, sshd: Sshd, tmp_path: Path) -> Path:
    """A folder of the host, and the site that reaches it."""
    more = {"ansible_ssh_private_key_file": str(sshd.key), "hisauto_known_hosts": str(sshd.known_hosts)}
    more |= {"hisauto_receipts": str(tmp_path / "receipts")}
    (site.root / "inventory" / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"h1": {**sshd.vars, **more}}}}))
    folder = tmp_path / "there"
    folder.mkdir()
    (tmp_path / "receipts").mkdir()
    for name, text in FILES.items():
        path = site.root / "runbooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name, text in (("files", BOOK), ("back", FAILS)):
        (site.root / "runbooks" / f"{name}.yml").write_text(text)
    return folder


def outlooks(site: TestSite, to: Path) -> list[tuple[str, str, str]]:
    return [(s["name"], s["outlook"], s["diff"]) for s in site.json("plan", "files", "-p", f"to={to}")["steps"][1:]]


def ran(site: TestSite, to: Path, meanwhile: Any = None) -> dict[str, Any]:
    run = site.started("files", f"to={to}")
    site.waiting(run, "gate")
    if meanwhile is not None:
        meanwhile()
    assert site.invoke("approve", run, "--yes", who="dba-1").exit_code == 0
    return site.ended(run)


def test_planned_approved_put_there_and_already_so(site: TestSite, there: Path) -> None:
    """What was approved is what runs, whatever became of the files since."""
    assert site.invoke("check").exit_code == 0, site.invoke("check").output
    shown = site.invoke("plan", "files", "-p", f"to={there}")
    assert "+h1 127.0.0.1" in shown.stdout, shown.output
    (settings, secret, tell) = outlooks(site, there)
    assert settings[:2] == ("Settings", "change")
    assert settings[2].splitlines()[2:] == ["@@ -0,0 +1,2 @@", "+h1 127.0.0.1", "+{{ host }} 127.0.0.1"]
    assert (secret[1:], tell[1]) == (("unknown", ""), "change"), "what is registered can't be known yet"

    def edit() -> None:
        for name in FILES:
            (site.root / "runbooks" / name).write_text("#!/bin/sh\nexit 1\n")

    view = ran(site, there, edit)
    assert view["state"] == "succeeded", json.dumps(view, indent=1) + site.log()
    assert (there / "app.conf").read_text() == "h1 127.0.0.1\n{{ host }} 127.0.0.1\n"
    assert (there / "told").read_text() == "two words\n"
    kept = {p.name: p.stat().st_mtime_ns for p in there.iterdir()}

    for name, text in FILES.items():
        (site.root / "runbooks" / name).write_text(text)
    assert [o[1] for o in outlooks(site, there)] == ["already", "unknown", "already"]
    again = ran(site, there)
    states = {a["name"]: a["state"] for a in again["attempts"]}
    assert states == {"Settings": "already", "Secret": "already", "Tell": "already"}
    assert {p.name: p.stat().st_mtime_ns for p in there.iterdir()} == kept
    (there / "app.conf").write_text("by hand\n")
    assert "-by hand" in outlooks(site, there)[0][2]


INNER = """\
runbook: {name}
version: 1.0.0
title: One in a folder
kind: routine
owner: dba
params:
  to: {{help: where}}
steps:
  - name: Write
    hosts: h1
    batch: 1
    copy: {{src: same.txt, dest: "{{{{ params.to }}}}/{name}"}}
"""
OUTER = """\
runbook: outer
version: 1.0.0
title: Two with a file of the same name
kind: routine
owner: dba
params:
  to: {help: where}
steps:
  - {name: A, runbook: first, with: {to: "{{ params.to }}"}}
  - {name: B, runbook: second, with: {to: "{{ params.to }}"}}
"""


def test_files_of_the_same_name_beside_two_runbooks(site: TestSite, there: Path) -> None:
    """Each runbook has what stands beside itself: pinned, put there, and on paper."""
    (site.root / "more").mkdir()
    settings = site.root / "hisauto.yml"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "runbooks": ["runbooks", "more"]}))
    (site.root / "runbooks" / "outer.yml").write_text(OUTER)
    for name, folder in (("first", "runbooks"), ("second", "more")):
        (site.root / folder / f"{name}.yml").write_text(INNER.format(name=name))
        (site.root / folder / "same.txt").write_text(f"of {name}\n")
    assert site.invoke("check").exit_code == 0, site.invoke("check").output
    paper = site.invoke("plan", "outer", "-p", f"to={there}", "--manual").stdout
    assert "of first" in paper and "of second" in paper
    view = site.ended(site.started("outer", f"to={there}"))
    assert view["state"] == "succeeded", json.dumps(view, indent=1) + site.log()
    assert [(there / name).read_text() for name in ("first", "second")] == ["of first\n", "of second\n"]
    (site.root / "more" / "same.txt").unlink()
    result = site.invoke("check", str(site.root / "runbooks" / "outer.yml"))
    assert result.exit_code == 1 and "second: there is no file 'same.txt' beside the runbook" in result.output


def test_what_no_log_hides_is_on_no_paper(site: TestSite, there: Path) -> None:
    text = FAILS.replace("- name: New\n", "- name: New\n    no_log: true\n").replace("content: new", "content: hushed")
    (site.root / "runbooks" / "back.yml").write_text(text)
    paper = site.invoke("plan", "back", "-p", f"to={there}", "--manual").stdout
    assert "mv " in paper and "a secret is masked" in paper, paper
    assert "hushed" not in paper and " old" not in paper


def test_an_undo_looks_by_itself_and_evaluates_nothing_twice(site: TestSite, there: Path) -> None:
    run = site.started("back", f"to={there}")
    view = site.ended(run)
    assert view["state"] == "rolled_back", json.dumps(view, indent=1) + site.log()
    assert (there / "it").read_text() == "{{ params.to }} old"


MISTAKES = [
    (
        "script: scripts/tel.sh",
        "there is no file 'scripts/tel.sh' beside the runbook",
        "did you mean 'scripts/tell.sh'?",
    ),
    ("script: app.conf.j2", "app.conf.j2:1: the first line names no interpreter", "#!/bin/sh"),
    ("script: scripts", "'scripts' is no file", ""),
    ("script: out/passwd", "'out/passwd' is a link that leads out of the runbook's folder", "the file itself"),
    ("template: {src: broken.j2, dest: /x}", "broken.j2:2: ", ""),
    ("role: gone", "there is no role 'gone'", "roles: "),
    ("{playbook: books/site.yml, done_when: {command: a}}", "there is no role 'nowhere'", ""),
]


@pytest.mark.parametrize(("action", "message", "hint"), MISTAKES)
def test_mistakes_are_named_at_their_place(site: TestSite, there: Path, action: str, message: str, hint: str) -> None:
    books = site.root / "runbooks"
    (books / "broken.j2").write_text("ok\n{% if %}\n")
    (books / "out").symlink_to("/etc")
    (books / "books").mkdir()
    (books / "books" / "site.yml").write_text(
        "- hosts: all\n  roles: ['{{ x }}', a.b.c]\n  tasks:\n    - block:\n        - include_role: {name: nowhere}\n"
    )
    step = (
        action.strip("{}").replace(", done_when: {command: a", "\n    done_when: {command: a}")
        if "done" in action
        else action
    )
    head = (
        "runbook: bad\nversion: 1.0.0\ntitle: Bad\nkind: routine\nowner: dba\nsteps:\n  - name: Do\n    hosts: h1\n    "
    )
    (books / "bad.yml").write_text(f"{head}{step}\n")
    result = site.invoke("check", str(books / "bad.yml"))
    assert result.exit_code == 1
    column = 5 + step.index(next(w for w in (": {src: ", ": ") if w in step)) + (8 if "{src: " in step else 2)
    assert f"bad.yml:9:{column}: error: {message}" in result.output
    assert "[HA128]" in result.output and hint in result.output
    refused = site.invoke("run", "bad", "--yes", "--no-watch", who="op-1")
    assert refused.exit_code in (1, 2) and message in refused.output
    assert "Traceback" not in refused.output
