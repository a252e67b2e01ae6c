"""Host patterns, against Ansible's own ``InventoryManager`` over the same files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hisauto.errors import HisautoError, NotFound, UsageError
from hisauto.site.inventory import Inventory
from hisauto.site.patterns import resolve, split
from hisauto.site.site import Site

INVENTORY = """\
all:
  children:
    his_db: {hosts: {db2: , db1: }}
    db_proxy: {hosts: {lb1: }}
    registration: {children: {app: {hosts: {app1: , app2: , app10: }}}}
    mixed: {hosts: {app2: , db1: , web.example: }}
    dotted: {hosts: {10.0.0.1: , 10.0.0.2: }}
    none: {}
  hosts: {lonely: , v6host: }
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inventory, Any]:
    root = tmp_path_factory.mktemp("patterns")
    (root / "hisauto.yml").write_text("site: {id: p}\n")
    (root / "inventory").mkdir()
    (root / "inventory" / "hospital.yml").write_text(INVENTORY)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_LOCAL_TEMP", str(root / "tmp"))  # where there is no home
        warnings.simplefilter("ignore")  # Ansible's own imports
        from ansible.inventory.manager import InventoryManager
        from ansible.parsing.dataloader import DataLoader

        manager = InventoryManager(loader=DataLoader(), sources=[str(root / "inventory")])
    return Inventory.read(Site.load(root)), manager


def ansibles(manager: Any, pattern: str) -> list[str] | None:
    """What Ansible makes of it; None: it refuses."""
    from ansible.errors import AnsibleError

    try:
        return [host.name for host in manager.get_hosts(pattern)]
    except AnsibleError:
        return None


def ours(inventory: Inventory, pattern: str) -> list[str] | None:
    try:
        return resolve(pattern, inventory)
    except HisautoError:
        return None


TABLE = [
    "all", "*", "his_db", "db1", "ungrouped", "none", "registration", "app",
    "his_db:app", "his_db,app", "app:his_db", "db1:db2", "db2,db1", "app : his_db", " his_db , app ",
    "all:!his_db", "!his_db", "!his_db:!app", "&mixed", "all:&mixed", "his_db:&mixed", "mixed:&his_db", "!db1:his_db",
    "his_db:app:&mixed:!db1", "all:!db1:!app2", "&his_db:&mixed", "!*", "his_db:!db1",
    "db*", "d*", "app?", "app1*", "*1", "db[1]", "db[!1]", "app[12]", "10.0.0.*", "10.0.0.1", "web.example",
    "*.example",
    "his_db[0]", "his_db[1]", "his_db[-1]", "his_db[0:1]", "his_db[1:]", "his_db[0:]", "his_db[0:0]", "his_db[1:0]",
    "his_db[0-1]", "all[2:4]", "all[3:100]", "all[100:200]", "his_db[2]", "his_db[-3]", "none[0]", "app[0]:his_db[1]",
    "!his_db[0]", "all:!his_db[0]:&mixed[1:]", "app*[0]", "*[0:3]", "d*[1:2]", "db1[0]", "app1[1]",
    "~db[12]", "~(app|db)[0-9]+$", "~.*1$", "~a", "~nothing", "his_db:~lb.", "!~app", "~d[", "~(", "his_db:!~.*",
    "nothing*", "z?", "[", "db[", "a,b", "app1:app2:app10", "mixed:his_db", "MIXED*",
]  # fmt: skip

UNKNOWN = {"a,b", "db[1]", "db["}


@pytest.mark.parametrize("pattern", TABLE)
def test_as_ansible_has_it(pattern: str, both: tuple[Inventory, Any]) -> None:
    inventory, manager = both
    expected = ansibles(manager, pattern)
    if pattern in UNKNOWN:
        assert expected == [], "Ansible warns"
        expected = None
    assert ours(inventory, pattern) == expected


names = st.sampled_from(
    ["all", "his_db", "app", "registration", "mixed", "none", "ungrouped", "dotted", "db1", "app10", "web.example",
     "10.0.0.2", "lonely", "*", "app*", "d*", "?b1", "*.example", "~app", "~.b[12]", "~[^a]", "*_db", "[ad]*"]
)  # fmt: skip
subscripts = st.sampled_from(["", "", "", "[0]", "[1]", "[-1]", "[0:1]", "[1:]", "[2:1]", "[1:0]", "[5]", "[0:0]"])
marks = st.sampled_from(["", "", "&", "!"])
parts = st.builds("{}{}{}".format, marks, names, subscripts)


@settings(max_examples=400)
@given(st.lists(parts, min_size=1, max_size=4), st.sampled_from([":", ",", ", ", " : "]))
def test_any_combination_as_ansible_has_it(both: tuple[Inventory, Any], chosen: Sequence[str], between: str) -> None:
    inventory, manager = both
    pattern = between.join(chosen)
    assert ours(inventory, pattern) == ansibles(manager, pattern)


@settings(max_examples=300)
@given(st.text(alphabet="ab1:,[]!&.-_ f", max_size=16))
def test_split_as_ansible_does(pattern: str) -> None:
    from ansible.inventory.manager import split_host_pattern

    assert split(pattern) == split_host_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["::1", "fe80::1", "a::b", "db1:22", "1:2:3:4:5:6:7:8", "a:b:22", "!a:22", "app[0:1]:2"]
)
def test_split_addresses(pattern: str) -> None:
    from ansible.inventory.manager import split_host_pattern

    assert split(pattern) == split_host_pattern(pattern)


def test_the_runbooks_host_sets_take_part_like_groups(both: tuple[Inventory, Any]) -> None:
    inventory, _ = both
    sets = {"primary": ["db1"], "standby": ["db2"], "clients": ["app2", "app1"], "nobody": []}
    assert resolve("standby", inventory, sets) == ["db2"]
    assert resolve("clients", inventory, sets) == ["app2", "app1"]
    assert resolve("his_db:!primary", inventory, sets) == ["db2"]
    assert resolve("his_db:&standby:app", inventory, sets) == ["db2"]
    assert resolve("clients[0]", inventory, sets) == ["app2"]
    assert resolve("nobody", inventory, sets) == []
    assert resolve("s*", inventory, sets) == ["db2"]


@pytest.mark.parametrize(
    ("pattern", "unknown", "hint"),
    [
        ("hisdb", "hisdb", "his_db"),
        ("all:!hisdb", "hisdb", "his_db"),
        ("all:&ap", "ap", "app"),
        ("lonly[0]", "lonly", "lonely"),
        ("db1:22", "db1:22", "db"),
        ("web.exmaple", "web.exmaple", "web.example"),
        ("standbye", "standbye", "standby"),
        ("localhost", "localhost", ""),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest(
    pattern: str, unknown: str, hint: str, both: tuple[Inventory, Any]
) -> None:
    with pytest.raises(NotFound) as raised:
        resolve(pattern, both[0], {"standby": ["db2"]})
    assert repr(unknown) in str(raised.value)
    assert hint in (raised.value.hint or "")


def test_a_wildcard_without_a_match_is_empty(both: tuple[Inventory, Any]) -> None:
    assert resolve("nothing*", both[0]) == []
    assert resolve("~nothing", both[0]) == []


def test_an_index_past_the_end_says_how_many_there_are(both: tuple[Inventory, Any]) -> None:
    with pytest.raises(NotFound, match="2 hosts of 'his_db'"):
        resolve("his_db[2]", both[0])


@pytest.mark.parametrize("pattern", ["~(", "his_db:!", "&", "his_db,!,db1"])
def test_what_is_no_pattern(pattern: str, both: tuple[Inventory, Any]) -> None:
    with pytest.raises(UsageError):
        resolve(pattern, both[0])


def test_the_order_below_the_second_level_is_the_files(tmp_path: Path) -> None:
    # Ansible's own order is left to chance here: it walks a set of objects.
    (tmp_path / "hisauto.yml").write_text("inventory: hosts.yml\n")
    (tmp_path / "hosts.yml").write_text(
        "all: {children: {z: {children: {z1: {hosts: {h1: }}, z2: {hosts: {h2: }}}},\n"
        "                 a: {children: {a1: {hosts: {h3: }}}}}}\n"
    )
    inventory = Inventory.read(Site.load(tmp_path))
    assert resolve("all", inventory) == ["h1", "h2", "h3"]
