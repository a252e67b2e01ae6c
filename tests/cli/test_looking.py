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


def test_a_mistake_of_the_site_has_its_place(site: TestSite) -> None:
    """A role that isn't there (HA128), a name that isn't the file's (HA129), or is another's too (HA127)."""
    books = site.root / "runbooks"
    head = "runbook: a\nversion: 1.0.0\ntitle: x\nkind: routine\nowner: dba\nsteps:\n"
    (books / "a.yml").write_text(f"{head}  - {{name: x, hosts: h1, role: patcher}}\n")
    (books / "b.yml").write_text(f"{head}  - {{name: x, command: uptime, changes: no}}\n")
    found = [(p["file"], p["line"], p["column"], p["code"]) for p in site.json("check", str(books))["problems"]
             if p["severity"] == "error"]  # fmt: skip
    assert found == [
        ("runbooks/a.yml", 7, 32, "HA128"), ("runbooks/b.yml", 1, 10, "HA127"), ("runbooks/b.yml", 1, 10, "HA129"),
    ]  # fmt: skip


def test_warnings_fail_a_strict_check(site: TestSite) -> None:
    book, look = site.root / "runbooks" / "a.yml", "steps: [{name: x, command: uptime, changes: no}]\n"
    book.write_text(f"runbook: a\nversion: 1.0.0\ntitle: x\nkind: routine\nowner: dba\n{look}")
    assert site.invoke("check", "--strict", str(book)).exit_code == 0
    book.write_text(book.read_text().replace(", changes: no", ""))
    result = site.invoke("check", str(book))
    assert result.exit_code == 0 and "0 errors, 1 warning" in result.stdout, result.output
    assert site.invoke("check", "--strict", str(book)).exit_code == 1


def test_a_rule_is_explained_without_a_site(site: TestSite) -> None:
    result = site.invoke("check", "--explain", "HA152", site=False)
    assert result.exit_code == 0 and "without a way back" in result.stdout and "Cured:" in result.stdout
    result = site.invoke("check", "--explain", "HA987", site=False)
    assert result.exit_code == 2 and "no rule 'HA987'" in result.stderr


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


UGLY = "steps:\n- command: uptime\n  changes: no # only looks\n  name: 'x'\n"
TIDY = 'steps:\n  - name: "x"\n    command: uptime\n    changes: no  # only looks\n'


def test_fmt_writes_only_what_changes_and_whole(site: TestSite) -> None:
    head = "runbook: a\nversion: 1.0.0\ntitle: x\nkind: routine\nowner: dba\n"
    book, other = site.root / "runbooks" / "a.yml", site.root / "b.yml"
    other.write_text(head + UGLY)
    other.chmod(0o640)
    book.symlink_to(other)
    would = site.invoke("fmt", "--check", str(book))
    assert would.exit_code == 1 and "would change" in would.stdout and other.read_text() == head + UGLY
    shown = site.invoke("fmt", "--diff", str(book))
    assert shown.exit_code == 1 and "+    changes: no  # only looks" in shown.stdout.splitlines()
    assert other.read_text() == head + UGLY
    assert site.invoke("fmt", str(book)).exit_code == 0
    assert book.is_symlink() and other.read_text() == head + TIDY and other.stat().st_mode & 0o777 == 0o640
    before = other.stat().st_ino
    again = site.invoke("fmt", str(book), "--json")
    assert json.loads(again.stdout) == [{"file": str(book), "changed": False}]
    assert other.stat().st_ino == before, "what needs no change is not written"
    assert [p.name for p in site.root.iterdir() if p.name.startswith(".b")] == []


def test_fmt_of_the_site_goes_past_a_broken_file_and_leaves_it_alone(site: TestSite) -> None:
    book = site.root / "runbooks" / "broken.yml"
    book.write_text("runbook: broken\nstps: []\n")
    result = site.invoke("fmt")
    assert result.exit_code == 1 and "unknown word 'stps'" in result.stderr
    assert "of 3 files changed" in result.stdout and book.read_text() == "runbook: broken\nstps: []\n"
    assert site.invoke("fmt", "no-such-file.yml", site=False).exit_code == 2
    assert site.invoke("check").exit_code == 1
