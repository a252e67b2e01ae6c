"""``locks`` and ``nodes``, as people and machines read them."""

from __future__ import annotations

from .conftest import TestSite


def test_who_holds_what_and_who_waits_is_shown(site: TestSite) -> None:
    book = site.root / "runbooks" / "hello.yml"
    book.write_text(book.read_text().replace("params:", "locks: [pacs]\nparams:", 1))
    holder = site.started("hello", f"folder={site.root}")
    site.waiting(holder, "gate")
    waiter = site.started("hello", f"folder={site.root}")
    site.waiting(waiter, "lock")
    (lock,) = site.json("locks")
    assert (lock["key"], lock["run"], lock["node"]) == ("lock:pacs", holder, None)
    assert [each["run"] for each in lock["waiting"]] == [waiter]
    shown = site.invoke("locks")
    assert shown.exit_code == 0, shown.output
    assert "lock:pacs" in shown.stdout and holder in shown.stdout and f"{waiter} (" in shown.stdout
    (node,) = site.json("nodes")
    assert node["alive"] and node["drives"] == []
    shown = site.invoke("nodes")
    assert shown.exit_code == 0 and node["id"] in shown.stdout and "alive" in shown.stdout
    site.end_node()
    assert site.invoke("nodes").exit_code == 1
