# ruff: noqa: E501  (a table: a case is easier to read on its own line)
"""``plan --manual``: what is on the paper, and that a person who types it has done the runbook."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hisauto.cli.paper import WIDTH, fold
from tests.cli.conftest import TestSite

FENCED = """\
runbook: fenced
version: 1.0.0
title: Everything that a paper shows
kind: emergency
owner: dba
on_failure: rollback
params: {cluster: {type: group, default: all}}
hosts:
  standby: {pattern: "{{ params.cluster }}", exactly: 1}
locks: "{{ params.cluster }}"
never:
  - {name: Two writers, hosts: standby, sql: select true as writer, expect: row.writer, at_least: 2}
guards:
  - {name: The disk has room, hosts: standby, command: df ., register: disk, within: 5s}
steps:
  - name: Agree
    approve: {question: "Promote {{ hosts.standby }}?", facts: [disk], by: {dba: 2, duty: 1}, within: 10m}
  - name: Fence
    done_when: {command: "true", expect: rc == 0 and hosts.standby == 'h1', holds: 20s}
    within: 30s
    ways:
      - name: Stop it
        hosts: standby
        command: systemctl stop his
        become: postgres
        env: {LC_ALL: C}
        unreachable: {go_on: it may be dark}
        undo: {command: systemctl start his, done_when: {command: systemctl is-active his}, within: 15s}
      - {name: Ask it, hosts: standby, when: disk.rc == 0, shell: "his stop | tee {{ disk.stdout }}"}
  - name: Promote
    hosts: standby
    http: {url: "http://localhost/promote", method: POST, headers: {Authorization: Bearer s3cr3tword}, from: host}
    irreversible: rebuild it
  - {name: Up, hosts: standby, command: uptime, changes: no, within: 45s}
always:
  - {name: Tell, notify: {to: [duty], text: "it is over on {{ hosts.standby }}"}}
"""


def printed(site: TestSite, *args: str) -> str:
    result = site.invoke("plan", *args, "--manual")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_paper_has_all_that_a_person_needs(site: TestSite) -> None:
    (site.root / "runbooks" / "fenced.yml").write_text(FENCED)
    text = printed(site, "fenced")
    digest = site.json("plan", "fenced", "--manual")["digest"]
    flat = " ".join(text.split())
    for said in (
        f"site tiny, plan {digest}", "parameter cluster = all", "standby = h1", "h1, all",
        "[ ] The disk has room", "[ ] on h1: ssh -p 1 127.0.0.1 $ df . right if: exit code 0, within 5.0s; no answer after 10s is none",
        "ASK: Promote h1?", "disk, as seen above: ___", "within 10m00s", "nobody in time: deny",
        "ways: in order", "done when this holds within 30s for 20s:", "(hosts.standby = h1)",
        "$ sudo -u postgres env LC_ALL=C systemctl stop his right if: exit code 0; give it 1h00m", "if the host can't be reached, go on: it may be dark",
        "only if: disk.rc == 0", "right if: exit code 0, within 45s", "FILL IN: ", "his stop | tee {{ disk.stdout }}",
        "!!! NO WAY BACK BEHIND THIS STEP: rebuild it", "Two writers must NOT be so",
        "it is so if on at least 2: row.writer", "FILL IN: a secret is masked", "Authorization: ********",
        "tell duty: it is over on h1", "[ ] undo 2.1[h1] Stop it", "undone when this holds within 15s:",
    ):  # fmt: skip
        assert said in flat, said
    assert text.count("[ ] dba: name") == 2 and text.count("[ ] duty: name") == 1
    assert "s3cr3t" not in text
    assert flat.index("must NOT be so") < flat.index("-X POST") < flat.index("undo 2.1")


def test_a_secret_of_the_inventory_is_on_no_paper(site: TestSite) -> None:
    inventory, book = site.root / "inventory" / "hosts.yml", site.root / "runbooks" / "secret.yml"
    inventory.write_text(inventory.read_text().replace('"127.0.0.1"', '"127.0.0.1", "db_password": "s3cr3t\'word"'))
    book.write_text(
        "runbook: secret\nversion: 1.0.0\ntitle: x\nkind: routine\nowner: dba\nsteps:\n  - name: Log in\n"
        "    hosts: h1\n    command: login {{ vars.db_password }}\n    env: {PW: '{{ vars.db_password }}'}\n"
        "    expect: stdout != vars.db_password\n"
    )
    text = printed(site, "secret")
    assert "s3cr3t" not in text and "FILL IN" in text
    assert "$ env 'PW=********' login '********'" in text and "(vars.db_password = ********)" in text


def test_a_paper_is_as_wide_as_a_page(site: TestSite) -> None:
    (site.root / "runbooks" / "fenced.yml").write_text(FENCED)
    inventory = site.root / "inventory" / "hosts.yml"
    known = "/etc/hospital/known_hosts/of/this/site"
    inventory.write_text(inventory.read_text().replace('"127.0.0.1"', f'"127.0.0.1", "hisauto_known_hosts": "{known}"'))
    assert f"UserKnownHostsFile={known}" in printed(site, "fenced")
    wide = [line for line in printed(site, "fenced").splitlines() if len(line) > WIDTH]
    assert wide == []


def test_what_stands_on_the_paper_does_the_runbook(site: TestSite) -> None:
    """Every command behind a $ is typed, in its order; the undo in the end."""
    text = printed(site, "hello", "-p", f"folder={site.root}")
    commands = re.findall(r"^ *\$ (.*(?:\n *> .*)*)", text, re.MULTILINE)
    typed = [re.sub(r"\n *> ", "\n", command) for command in commands]
    codes = [subprocess.run(["bash", "-c", command], stdout=subprocess.DEVNULL).returncode for command in typed[:-1]]
    # The guard, the step, its done_when, the next step, the proof
    assert codes == [0, 0, 0, 0, 0], typed
    assert (site.root / "hello").exists()
    assert subprocess.run(["bash", "-c", typed[-1]]).returncode == 0 and not (site.root / "hello").exists()


def test_guards_that_do_not_hold_are_on_the_paper_all_the_same(site: TestSite) -> None:
    assert "test -d /nope" in printed(site, "hello", "-p", "folder=/nope")
    both = site.invoke("plan", "hello", "-p", "folder=/nope", "--manual", "--diff", "last")
    assert both.exit_code == 2 and "choose one" in both.stderr


WORDS = st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12), min_size=1, max_size=30)


@given(WORDS, st.integers(10, 60))
def test_a_folded_command_says_the_same(words: list[str], width: int) -> None:
    lines = fold(shlex.join(words), width)
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == words


@pytest.mark.parametrize("text", ["cat <<EOF " + "a " * 60, "a # " + "b " * 60, "a\n" + "b " * 60])
def test_what_can_not_be_folded_stays(text: str) -> None:
    assert fold(text, 20) == text.split("\n")
