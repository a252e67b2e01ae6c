"""What needs no run: runbooks, check, schema, hosts, plan."""

from __future__ import annotations

import json

import jsonschema

from tests.cli.conftest import TestSite


def test_runbooks(site: TestSite) -> None:
    result = site.invoke("runbooks")
    assert result.exit_code == 0, result.output
    assert "hello" in result.stdout and "Say hello" in result.stdout and "routine" in result.stdout
    site.env["LC_ALL"] = "zh_CN.UTF-8"
    assert "问好" in site.invoke("runbooks").stdout
    assert [entry["name"] for entry in site.json("runbooks", "SAY")] == ["hello"]
    assert site.json("runbooks", "say", "nothing") == []


def test_a_broken_runbook_is_listed_as_broken(site: TestSite) -> None:
    (site.root / "runbooks" / "odd.yml").write_text("runbook: odd\nstps: []\n")
    result = site.invoke("runbooks")
    assert result.exit_code == 1
    line = next(x for x in result.stdout.splitlines() if x.startswith("odd"))
    assert "broken" in line and "odd.yml" in line
    (entry,) = [e for e in site.json("runbooks") if e["name"] == "odd"]
    assert entry["version"] is None and entry["problem"]


def test_check_says_it_is_sound(site: TestSite) -> None:
    result = site.invoke("check")
    assert result.exit_code == 0, result.output
    assert "5 files checked: 0 errors" in result.stdout  # three runbooks, the inventory, hisauto.yml


def test_check_finds_every_kind_of_mistake(site: TestSite) -> None:
    head = "version: 1.0.0\ntitle: x\nkind: routine\nowner: dba\n"
    books = site.root / "runbooks"
    (books / "a.yml").write_text(f"runbook: a\n{head}steps:\n  - name: x\n    command: 'true'\n    colour: red\n")
    (books / "b.yml").write_text(f"runbook: b\n{head}steps:\n  - {{name: x, hosts: h2, batch: 1, command: 'true'}}\n")
    (books / "c.yml").write_text(f"runbook: c\n{head}steps:\n  - {{name: x, hosts: h1, role: patcher, batch: 1}}\n")
    (books / "d.yml").write_text(f"runbook: other\n{head}steps:\n  - {{name: x, command: 'true'}}\n")
    result = site.invoke("check")
    assert result.exit_code == 1
    for said in (
        "runbooks/a.yml:", "no host, group or name 'h2'", "there is no role 'patcher'", "the runbook is called 'other'",
    ):  # fmt: skip
        assert said in result.stdout, result.stdout
    found = site.json("check")["problems"]
    assert {p["file"] for p in found if p["severity"] == "error"} == {f"runbooks/{x}.yml" for x in "abcd"}
    assert site.invoke("check", str(books / "hello.yml")).exit_code == 0
    assert site.invoke("check", str(books / "a.yml")).exit_code == 1


def test_check_reads_the_inventory(site: TestSite) -> None:
    (site.root / "inventory" / "hosts.yml").write_text("all:\n  hosts: [\n")
    result = site.invoke("check")
    assert result.exit_code == 1 and "inventory" in result.stdout


def test_schema_is_a_schema_and_needs_no_site(site: TestSite) -> None:
    result = site.invoke("schema", site=False)
    assert result.exit_code == 0, result.output
    jsonschema.Draft202012Validator.check_schema(json.loads(result.stdout))


def test_hosts(site: TestSite) -> None:
    result = site.invoke("hosts")
    assert result.exit_code == 0 and "h1" in result.stdout and "127.0.0.1:1" in result.stdout


def test_a_host_that_does_not_answer(site: TestSite) -> None:
    result = site.invoke("hosts", "h1", "--ping")
    assert result.exit_code == 5 and "NO, after" in result.stdout and "refused" in result.stdout
    (found,) = site.json("hosts", "--ping")
    assert found["reachable"] is False and "refused" in found["why"]


def test_plan_says_what_would_happen_and_touches_nothing(site: TestSite) -> None:
    result = site.invoke("plan", "hello", "-p", f"folder={site.root}")
    assert result.exit_code == 0, result.output
    rows = {line[:24].strip(): line for line in result.stdout.splitlines()}
    assert "people decide" in rows["Two people agree"]
    assert any(
        "will change" in line and "undo" in line for line in result.stdout.splitlines() if line.startswith("Write")
    )
    assert not (site.root / "hello").exists()
    (site.root / "hello").touch()
    made = site.json("plan", "hello", "-p", f"folder={site.root}")
    assert made["ready"] and len(made["digest"]) == 64
    assert {s["name"]: s["outlook"] for s in made["steps"]} == {
        "Two people agree": "gate", "Write": "already", "Speak": "change",
    }  # fmt: skip


def test_plan_is_refused_when_a_guard_says_no(site: TestSite) -> None:
    result = site.invoke("plan", "hello", "-p", "folder=/nope")
    assert result.exit_code == 3 and "DOES NOT HOLD" in result.stdout and "would be refused" in result.stdout
    assert site.json("plan", "hello", "-p", "folder=/nope")["ready"] is False
