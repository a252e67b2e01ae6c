"""The inventory, through the real ``ansible-inventory``."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from hisauto.errors import Invalid, NotFound, Unreachable
from hisauto.site import ansible
from hisauto.site.inventory import Inventory
from hisauto.site.site import Site


def read(root: Path) -> Inventory:
    return Inventory.read(Site.load(root))


def cached(root: Path) -> list[Path]:
    return list((root / ".hisauto" / "cache").glob("*"))


def test_groups_hosts_and_variables(root: Path) -> None:
    inventory = read(root)
    assert inventory.groups == {
        "all": ("lonely", "db2", "db1", "lb1", "app1", "app2", "app10"),
        "ungrouped": ("lonely",), "his_db": ("db2", "db1"), "db_proxy": ("lb1",),
        "registration": ("app1", "app2", "app10"), "app": ("app1", "app2", "app10"), "empty": (),
    }  # fmt: skip
    assert set(inventory.hosts) == set(inventory.groups["all"])
    assert dict(inventory.vars("db1")) == {
        "pg_port": 5432, "inventory_hostname": "db1", "inventory_hostname_short": "db1", "group_names": ["his_db"],
    }  # fmt: skip
    assert inventory.vars("app1")["group_names"] == ["app", "registration"]
    assert inventory.vars("lonely")["group_names"] == ["ungrouped"]
    with pytest.raises(NotFound) as raised:
        inventory.vars("db11")
    assert "db1" in (raised.value.hint or "")


def test_ini_format_too(root: Path) -> None:
    (root / "inventory" / "hospital.yml").unlink()
    (root / "inventory" / "hosts").write_text("[his_db]\ndb[1:2] port=1\n[all:vars]\nzone=a\n")
    inventory = read(root)
    assert inventory.groups["his_db"] == ("db1", "db2")
    assert inventory.vars("db2")["zone"] == "a"


def test_templates_are_out_of_reach_and_say_so(root: Path) -> None:
    (root / "inventory" / "group_vars" / "all.yml").write_text(
        "plain: x\nport: '{{ pg_port }}'\nnested: {a: [1, '{% if x %}']}\nraw: !unsafe '{{ braces }}'\n"
        "deep: {a: [!unsafe '{{ b }}']}\npassword: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"
    )
    for _ in range(2):  # cold and from the cache
        values = read(root).vars("db1")
        assert (values["plain"], values["raw"], values["deep"]) == ("x", "{{ braces }}", {"a": ["{{ b }}"]})
        assert set(values) >= {"plain", "raw"} and not {"port", "nested", "password"} & set(values)
        assert "port" not in values and "plain" in values
        for name, why in (("port", "Jinja template"), ("nested", "Jinja template"), ("password", "Vault")):
            with pytest.raises(Invalid, match=f"'{name}' of db1 is .*{why}"):
                values[name]
            with pytest.raises(Invalid):
                values.get(name)
        with pytest.raises(KeyError):
            values["nothing"]
        assert "5432" not in repr(values)


def test_the_cache_answers_as_ansible_did(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "inventory" / "group_vars" / "all.yml").write_text("b: 1\na: [true, null, 1.5, {z: 1}]\n")
    cold = read(root)
    (file,) = cached(root)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    monkeypatch.setattr(ansible, "program", lambda name: "/bin/false")
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        warm = read(root)
        best = min(best, time.perf_counter() - began)
    assert {h: dict(v) for h, v in warm.hosts.items()} == {h: dict(v) for h, v in cold.hosts.items()}
    assert list(warm.hosts) == list(cold.hosts) and list(warm.groups.items()) == list(cold.groups.items())
    assert best < 0.02


CHANGES = {
    "group_vars changed": ("inventory/group_vars/his_db.yml", "pg_port: 6000\n"),
    "host_vars added": ("inventory/host_vars/db1/lab.yml", "pg_port: 6000\n"),
    "host_vars without a suffix": ("inventory/host_vars/db1", "pg_port: 6000\n"),
    "beside the site": ("group_vars/his_db.yml", "pg_port: 6000\n"),
    "another source": ("inventory/more.yml", "his_db: {hosts: {db1: {pg_port: 6000}}}\n"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_at_once(name: str, root: Path) -> None:
    assert read(root).vars("db1")["pg_port"] == 5432
    path, text = CHANGES[name]
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    assert read(root).vars("db1")["pg_port"] == 6000
    assert len(cached(root)) == 1, "what was remembered before is forgotten"


def test_a_removed_file_is_seen(root: Path) -> None:
    read(root)
    (root / "inventory" / "group_vars" / "his_db.yml").unlink()
    assert "pg_port" not in read(root).vars("db1")


def test_vars_beside_a_source_that_is_a_file(root: Path) -> None:
    (root / "hisauto.yml").write_text("inventory: inventory/hospital.yml\n")
    assert read(root).vars("db1")["pg_port"] == 5432
    (root / "inventory" / "group_vars" / "his_db.yml").write_text("pg_port: 6000\n")
    assert read(root).vars("db1")["pg_port"] == 6000


def test_a_damaged_cache_is_no_answer(root: Path) -> None:
    read(root)
    (file,) = cached(root)
    for damage in ("", "{", "[]", "{}"):
        file.write_text(damage)
        assert read(root).vars("db1")["pg_port"] == 5432


def test_files_changed_while_ansible_reads_are_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ansible._run

    def slow(*args: object) -> tuple[int, str, str]:
        answer = real(*args)  # type: ignore[arg-type]  # passed on as it came
        (root / "inventory" / "group_vars" / "his_db.yml").write_text("pg_port: 6000\n")
        return answer

    monkeypatch.setattr(ansible, "_run", slow)
    assert read(root).vars("db1")["pg_port"] == 5432
    assert cached(root) == []


def test_a_script_is_asked_every_time(root: Path) -> None:
    script = root / "inventory" / "dynamic.sh"
    script.write_text(
        '#!/bin/sh\n[ "$1" = --list ] || { echo "{}"; exit; }\necho x >> "$(dirname "$0")/../asked"\n'
        'echo "{\\"g\\": {\\"hosts\\": [\\"h$(wc -l < "$(dirname "$0")/../asked")\\"]}}"\n'
    )
    script.chmod(0o755)
    assert read(root).groups["g"] == ("h1",)
    assert read(root).groups["g"] == ("h2",)
    assert cached(root) == []


def test_a_plugin_is_asked_every_time(root: Path) -> None:
    (root / "inventory" / "zz.yml").write_text(
        "plugin: ansible.builtin.constructed\ngroups: {dbs: \"'his_db' in group_names\"}\n"
    )
    assert read(root).groups["dbs"] == ("db2", "db1")
    assert cached(root) == []


def test_only_the_sites_own_configuration_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = root / "home"
    home.mkdir()
    (home / ".ansible.cfg").write_text("[inventory]\nenable_plugins = nonsense\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ANSIBLE_INVENTORY_ENABLED", "nonsense")
    assert "db1" in read(root).hosts
    (root / "ansible.cfg").write_text("[defaults]\ninventory_ignore_extensions = .yml\n")
    with pytest.raises(Invalid):
        read(root)


VARS = "inventory/group_vars/his_db.yml"
BROKEN = {
    "source": ("inventory/bad.yml", "all:\n  hosts: [\n", "inventory/bad.yml", 3, "flow node"),
    "ini source": ("inventory/bad", "[a]\nx y z\n", "inventory/bad", 0, "key=value"),
    "group_vars": (VARS, "a: 1\nb: [\n", VARS, 3, "node content"),
    "not a mapping": (VARS, "secret\n", VARS, 0, "expected dicts"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_ansibles_complaint_with_its_file(name: str, root: Path) -> None:
    path, text, file, line, said = BROKEN[name]
    (root / path).write_text(text)
    with pytest.raises(Invalid) as raised:
        read(root)
    (problem,) = raised.value.problems
    assert (problem.code, problem.file, problem.line) == ("HA210", file, line)
    assert said in problem.message
    assert "secret" not in str(raised.value)


def test_a_failing_script(root: Path) -> None:
    script = root / "inventory" / "dynamic.sh"
    script.write_text("#!/bin/sh\necho boo >&2; exit 3\n")
    script.chmod(0o755)
    with pytest.raises(Invalid, match=r"inventory/dynamic.sh: .*code 3"):
        read(root)


def test_a_vault_without_its_password(root: Path) -> None:
    (root / "inventory" / "group_vars" / "his_db.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    with pytest.raises(Invalid, match="no vault secrets"):
        read(root)


def test_a_script_that_hangs_is_ended_with_its_children(root: Path) -> None:
    (root / "hisauto.yml").write_text("timeouts: {inventory: 3s}\n")
    script = root / "inventory" / "dynamic.sh"
    script.write_text('#!/bin/sh\nsleep 60 &\necho $! > "$(dirname "$0")/../child"\nwait\n')
    script.chmod(0o755)
    with pytest.raises(Unreachable, match="within 3 s"):
        read(root)
    child = int((root / "child").read_text())
    deadline = time.monotonic() + 10
    while (state := _state(child)) not in ("gone", "Z"):
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def test_a_missing_source(root: Path) -> None:
    (root / "hisauto.yml").write_text("inventory: [inventory, elsewhere]\n")
    with pytest.raises(NotFound, match="elsewhere"):
        read(root)


def test_ansibles_warnings_are_kept(root: Path) -> None:
    (root / "inventory" / "more.yml").write_text("g: {host: {x: }}\n")
    for _ in range(2):
        assert any("unexpected key (host)" in warning for warning in read(root).warnings)


def test_an_unreadable_file(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (root / "inventory" / "hospital.yml").chmod(0)
    with pytest.raises(NotFound, match="can't be read"):
        read(root)
