"""Items, steps side by side, a person's work and a runbook as a step, as a user sees and answers them."""

from __future__ import annotations

from tests.cli.conftest import TestSite
from tests.cli.test_screen import flat

HEAD = "version: 1.0.0\ntitle: x\nkind: routine\nowner: dba\n"
SETTLE = f"""\
runbook: settle
{HEAD}params: {{folder: {{}}}}
steps:
  - name: Settle
    for_each: [t1, t2]
    batch: 2
    steps:
      - name: Decide
        approve: {{question: "What of {{{{ item }}}}?", by: {{dba: 1}}, choices: [adopt, leave]}}
        register: decided
      - name: Adopt
        when: decided.answer == 'adopt'
        command: touch {{{{ params.folder }}}}/{{{{ item }}}}
  - name: Both
    together:
      - {{name: Left, command: "touch {{{{ params.folder }}}}/left"}}
      - {{name: Right, command: "touch {{{{ params.folder }}}}/right"}}
  - name: Turn the key
    manual: {{do: "Make {{{{ params.folder }}}}/key", by: operator, evidence: What does the lamp show?}}
    done_when: {{command: "test -e {{{{ params.folder }}}}/key"}}
    within: 1s
  - name: In another
    runbook: inner
    with: {{where: "{{{{ params.folder }}}}"}}
"""
INNER = f"""\
runbook: inner
{HEAD}params: {{where: {{}}}}
guards:
  - {{name: It is there, command: "test -d {{{{ params.where }}}}"}}
steps:
  - name: Count
    retries: {{times: 3, wait: 100ms}}
    done_when: {{shell: "wc -l < {{{{ params.where }}}}/count", expect: stdout == '2'}}
    within: 0s
    steps:
      - {{name: One more, shell: "echo x >> {{{{ params.where }}}}/count"}}
"""


def books(site: TestSite) -> None:
    for name, text in {"settle": SETTLE, "inner": INNER}.items():
        (site.root / "runbooks" / f"{name}.yml").write_text(text)


def test_a_plan_shows_items_and_the_steps_of_a_runbook_in_it(site: TestSite) -> None:
    books(site)
    assert site.invoke("check").exit_code == 0
    plan = site.json("plan", "settle", "-p", f"folder={site.root}")
    lines = {line["path"]: (line["host"], line["outlook"]) for line in plan["steps"]}
    assert lines["1[0]"][0] == "t1" and lines["1[1].1"] == (None, "gate")
    assert lines["3"] == (None, "manual") and lines["4.1.1"] == (None, "change")
    assert [guard["name"] for guard in plan["guards"]] == ["inner: It is there"]
    assert "done by hand" in site.invoke("plan", "settle", "-p", f"folder={site.root}").stdout


def test_several_questions_a_persons_work_and_a_loop(site: TestSite) -> None:
    books(site)
    run = site.started("settle", f"folder={site.root}")
    view = site.until(lambda: v if "also" in ((v := site.json("show", run))["question"] or {}) else None)
    assert f"hisauto approve {run} '1[1].1' --answer adopt" in view["answers"]
    card = flat(site.invoke("show", run).stdout)
    assert "What of t1?" in card and "What of t2?" in card and "choices: adopt, leave" in card
    unclear = site.invoke("approve", run, "--answer", "leave", "--yes", who="dba-1")
    assert unclear.exit_code == 2 and "1[0].1, 1[1].1" in unclear.stderr
    plain = site.invoke("approve", run, "1[1].1", "--yes", who="dba-1")
    assert plain.exit_code == 2 and "--answer adopt | leave" in plain.stderr
    for gate, answer in (("1[1].1", "adopt"), ("1[0].1", "leave")):
        assert site.invoke("approve", run, gate, "--answer", answer, "--yes", who="dba-1").exit_code == 0

    view = site.waiting(run, "manual")
    assert view["answers"] == [f"hisauto decide {run} '3#1' done --evidence TEXT", f"hisauto decide {run} '3#1' failed"]
    shown = flat(site.invoke("show", run).stdout)
    for words in ("BY HAND Turn the key", f"Make {site.root}/key", "evidence: What does the lamp show?", "t1", "Left"):
        assert words in shown, shown
    assert site.invoke("decide", run, "3#1", "done", "--evidence", "red", "--yes", who="dba-1").exit_code == 3
    bare = site.invoke("decide", run, "3#1", "done", "--yes", who="op-1")
    assert bare.exit_code == 2 and "it takes evidence: What does the lamp show?" in bare.stderr
    (site.root / "key").touch()
    assert site.invoke("decide", run, "3#1", "done", "--evidence", "it is red", "--yes", who="op-1").exit_code == 0

    assert site.ended(run)["state"] == "succeeded", site.json("show", run)["summary"]
    assert (site.root / "t2").exists() and not (site.root / "t1").exists()
    assert (site.root / "count").read_text() == "x\nx\n"
    shown = flat(site.invoke("show", run).stdout)
    for words in ("Turn the key", "op-1 said done: it is red", "Count (try 2)", "In another", "dba-1 said leave"):
        assert words in shown, shown
    assert "it is red" in site.invoke("audit", "log", run, "--json").stdout


def test_check_looks_at_runbooks_that_are_steps(site: TestSite) -> None:
    books(site)
    wrong = {
        "lost": "  - {name: In, runbook: iner}\n",
        "odd": "  - {name: In, runbook: inner, with: {where: x, wher: y}}\n",
        "bare": "  - {name: In, runbook: inner}\n",
        "round": "  - {name: In, runbook: round}\n",
    }
    for name, steps in wrong.items():
        (site.root / "runbooks" / f"{name}.yml").write_text(f"runbook: {name}\n{HEAD}steps:\n{steps}")
    found = {p["file"].split("/")[1]: p["message"] for p in site.json("check")["problems"]}
    assert "there is no runbook 'iner'" in found["lost.yml"]
    assert "inner has no parameter 'wher'" in found["odd.yml"]
    assert "inner needs the parameter 'where'" in found["bare.yml"]
    assert "a runbook can't be a step of itself" in found["round.yml"]
    assert [p["line"] for p in site.json("check")["problems"] if p["file"].endswith("odd.yml")] == [7]
