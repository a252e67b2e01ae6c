# ruff: noqa: E501  (a table: a case is easier to read on its own line)
"""``hisauto.yml`` and its people: what holds by default, and every mistake with its place."""

from __future__ import annotations

import os
import stat
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hisauto.errors import Invalid, NotFound, UsageError
from hisauto.site.site import Site, find_site


def key(private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> str:
    private = private or ed25519.Ed25519PrivateKey.generate()
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def site(root: Path, text: str) -> Site:
    (root / "hisauto.yml").write_text(text)
    return Site.load(root)


ONE, TWO = key(), key()
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WEAK = key(rsa.generate_private_key(65537, 1024))
PRIVATE = ed25519.Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
).decode()  # fmt: skip
SECRET_BODY = PRIVATE.splitlines()[1]

DEPUTY, LEAVE = "people: {a: {}, b: {roles: [dba]}}\n", "from: 2027-02-05, to: 2027-02-12, zone: UTC"
MISTAKES = {
    "unknown field": ("databse: x\n", "HA201", 1, 1, "'databse'", "did you mean 'database'?"),
    "unknown field below": ("ssh:\n  keepaliv: 1s\n", "HA201", 2, 3, "'keepaliv'", "'keepalive'"),
    "unknown field of a person": ("people:\n  dba-1:\n    role: [x]\n", "HA201", 3, 5, "'role'", "'roles'"),
    "mapping wanted": ("ssh: fast\n", "HA202", 1, 6, "expected a mapping (key: value), found text", ""),
    "file is a list": ("- hosts: all\n", "HA202", 1, 1, "expected a mapping (key: value), found a list", ""),
    "list wanted": ("runbooks: {a: b}\n", "HA202", 1, 11, "expected a list, found a mapping", ""),
    "text wanted": ("site:\n  name: [a]\n", "HA202", 2, 9, "expected text, found a list", ""),
    "duration": ("ssh: {connect_timeout: soon}\n", "HA202", 1, 24, "10s", ""),
    "no time at all": ("audit: {every: 0s}\n", "HA202", 1, 16, "above zero", ""),
    "place nowhere": ("audit:\n  publish: [{host: log1}]\n", "HA202", 2, 13, "{host: HOST, file: PATH}", ""),
    "two places in one": ("audit: {publish: {file: a, syslog: 'tcp://b'}}\n", "HA202", 1, 18, "expected one place", ""),
    "place without a path": ("audit: {publish: ['']}\n", "HA202", 1, 19, "expected a path, and it is empty", ""),
    "relative on a host": ("audit: {publish: {host: a, file: b}}\n", "HA202", 1, 18, "begins with /", ""),
    "syslog": ("audit: {publish: {syslog: 'log1:514'}}\n", "HA202", 1, 27, "tcp://HOST:PORT", ""),
    "flag": ("ssh:\n  agent: maybe\n", "HA202", 2, 10, "true or false", ""),
    "role": ("may:\n  run: [operator, DBA Lead]\n", "HA202", 2, 19, "dba_lead", ""),
    "person's id": ("people:\n  DBA 1: {}\n", "HA202", 2, 3, "dba-1", ""),
    "site's id": ("site: {id: My Site}\n", "HA202", 1, 12, "his-lab", ""),
    "empty path": ("people_from: ' '\n", "HA202", 1, 14, "empty", ""),
    "database": ("database: mysql://x\n", "HA202", 1, 11, "postgresql://", ""),
    "not a key": ("people:\n  dba-1:\n    keys:\n      - hello\n", "HA205", 4, 9, "ssh-ed25519 AAAA", ""),
    "damaged key": (f"people: {{dba-1: {{keys: ['{ONE[:-6]}']}}}}\n", "HA205", 1, 25, "damaged", ""),
    "weak key": (f"people: {{a: {{keys: ['{WEAK}']}}}}\n", "HA205", 1, 21, "1024", ""),
    "a key's field": (f"people: {{a: {{keys: [{{key: '{ONE}', expire: 2027-01-31}}]}}}}\n", "HA201", 1, len(ONE) + 31, "'expire'", "'expires'"),
    "a key's day": (f"people: {{a: {{keys: [{{expires: soon, key: '{ONE}'}}]}}}}\n", "HA205", 1, 31, "2027-01-31", ""),
    "a key's moment without a zone": (f"people: {{a: {{keys: [{{revoked: '2027-01-31T18:00', key: '{ONE}'}}]}}}}\n", "HA205", 1, 31, "+08:00", ""),
    "a key backwards": (f"people: {{a: {{keys: [{{key: '{ONE}', valid_from: 2027-02-01, expires: 2027-01-31}}]}}}}\n", "HA205", 1, 21, "before it is valid", ""),
    "a deputy of nobody": (f"{DEPUTY}deputies:\n  - {{of: b, deputy: c, {LEAVE}}}\n", "HA209", 3, 21, "nobody called 'c'", "known: a, b"),
    "their own deputy": (f"{DEPUTY}deputies:\n  - {{of: b, deputy: b, {LEAVE}}}\n", "HA209", 3, 21, "own deputy", ""),
    "a deputy's role": (f"{DEPUTY}deputies:\n  - {{of: b, deputy: a, roles: dbaa, {LEAVE}}}\n", "HA209", 3, 31, "b has no role 'dbaa'", "'dba'"),
    "a deputy backwards": (f"{DEPUTY}deputies:\n  - {{of: b, deputy: a, from: 2027-02-02, to: 2027-02-01, zone: UTC}}\n", "HA202", 3, 5, "before it begins", ""),
    "secret itself": ("secrets: {db: hunter2-hunter2}\n", "HA202", 1, 15, "expected a mapping", ""),
    "secret nowhere": ("secrets:\n  db: {}\n", "HA202", 2, 7, "expected one place: env, file, keyring, vault or hvac", ""),
    "secret in two places": ("secrets:\n  db: {env: A, file: b}\n", "HA202", 2, 7, "expected one place", ""),
    "secret's place": ("secrets:\n  db: {fiel: b}\n", "HA201", 2, 8, "'fiel'", "'file'"),
    "secret's name": ("secrets:\n  DB 1: {env: A}\n", "HA202", 2, 3, "his_db", ""),
    "secret in place of a variable": ("secrets: {db: {env: hunter2-x}}\n", "HA202", 1, 21, "environment variable", ""),
    "token nowhere": ("secrets: {db: {hvac: {url: 'https://v', path: a, field: b, token: {}}}}\n", "HA202", 1, 67,
                      "{env: NAME} or {file: PATH}", ""),
    "token itself": ("secrets: {db: {hvac: {url: 'https://v', path: a, field: b, token: hvs.x}}}\n", "HA202", 1, 67,
                     "expected a mapping", ""),
    "vault in the clear": ("secrets: {db: {hvac: {url: 'http://v', path: a, field: b, token: {env: T}}}}\n", "HA202", 1, 28,
                           "use https", ""),
    "vault without a key": ("secrets: {db: {vault: {file: a, password_file: b}}}\n", "HA202", 1, 23, "'key' is missing", ""),
    "day": ("windows:\n  night: {days: [mon, thr], from: '22:00', to: '02:00', zone: UTC}\n", "HA202", 2, 23, "not 'thr'", ""),
    "time of day": ("windows:\n  night:\n    - {from: 9pm, to: '02:00', zone: UTC}\n", "HA202", 3, 14, "like 22:00", ""),
    "time of day, alone": ("windows:\n  night: {from: 9pm, to: '02:00', zone: UTC}\n", "HA202", 2, 17, "like 22:00", ""),
    "no zone": ("windows:\n  night: {from: '22:00', to: '02:00'}\n", "HA202", 2, 10, "'zone' is missing", ""),
    "zone": ("windows:\n  night: {from: '22:00', to: '02:00', zone: Mars}\n", "HA202", 2, 45, "Asia/Shanghai", ""),
    "no time between": ("windows:\n  night: {from: '22:00', to: '22:00', zone: UTC}\n", "HA202", 2, 10, "00:00 to 24:00", ""),
    "no window in it": ("windows: {night: []}\n", "HA202", 1, 18, "empty", ""),
    "date": ("freezes:\n  - {reason: x, from: 2027-02-30, to: 2027-03-01, zone: UTC}\n", "HA202", 2, 23, "2027-02-05", ""),
    "backwards": ("freezes:\n  - {reason: x, from: 2027-03-02, to: 2027-03-01, zone: UTC}\n", "HA202", 2, 5, "before it begins", ""),
    "freeze's field": ("freezes:\n  - {reasn: x, reason: y, from: 2027-03-01, to: 2027-03-01, zone: UTC}\n", "HA201", 2, 6, "'reasn'", "'reason'"),
    "frozen emergencies": (
        "freezes:\n  - {reason: x, from: 2027-03-01, to: 2027-03-01, zone: UTC, except: emergency}\n",
        "HA202", 2, 70, "bound by no freeze", "",
    ),
    "vault's field": ("secrets: {db: {vault: {flie: a, file: a, key: b, password_file: c}}}\n", "HA201", 1, 24, "'flie'", "'file'"),
    "window's field": ("windows: {night: {fro: '22:00', from: '22:00', to: '02:00', zone: UTC}}\n", "HA201", 1, 19, "'fro'",
                       "'from'"),
    "one key for two": (
        f"people:\n  dba-1: {{keys: ['{ONE}']}}\n  dba-2: {{keys: ['{TWO}', '{ONE} laptop']}}\n",
        "HA204", 3, len(TWO) + 22, "one key for two people: dba-1 and dba-2", "key of their own",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_have_their_place(name: str, tmp_path: Path) -> None:
    text, code, line, column, said, hint = MISTAKES[name]
    with pytest.raises(Invalid) as raised:
        site(tmp_path, text)
    (problem,) = raised.value.problems
    assert (problem.code, problem.file, problem.line, problem.column) == (code, "hisauto.yml", line, column)
    assert said in problem.message
    assert hint in problem.hint


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as raised:
        site(tmp_path, "ssh: {agent: maybe, keep: 1s}\nruns: x\n")
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("database: postgresql://u:hunter2@h/d\n", "hunter2"),
        ("database: postgresql://h/d?password=hunter2\n", "hunter2"),
        ("database: hunter2\n", "hunter2"),
        ("people: {a: {keys: [\"" + PRIVATE.replace("\n", "\\n") + "\"]}}\n", SECRET_BODY),
        ("people:\n  a:\n    keys:\n      - |\n" + textwrap.indent(PRIVATE, " " * 8), SECRET_BODY),
    ],
)  # fmt: skip
def test_a_secret_in_the_file_is_refused_and_not_repeated(text: str, secret: str, tmp_path: Path) -> None:
    assert secret in text
    with pytest.raises(Invalid) as raised:
        site(tmp_path, text)
    assert secret not in f"{raised.value} {raised.value.hint} {raised.value.problems}"


def test_everything_has_a_default(tmp_path: Path) -> None:
    loaded = site(tmp_path, "site: {id: small}\n")
    assert (loaded.id, loaded.name, loaded.people, loaded.warnings) == ("small", "small", {}, ())
    assert loaded.paths("inventory") == (tmp_path / "inventory",)
    assert loaded.paths("runbooks") == (tmp_path / "runbooks",)
    assert loaded.settings.ssh.agent is True
    assert not loaded.may("dba-1", "run", NOW)


def test_values_are_read_as_what_they_are(tmp_path: Path) -> None:
    text = f"""\
site: {{id: his, name: 医院}}
inventory: [a, b.yml]
people:
  dba-1: {{name: DBA 1, roles: [dba_lead, operator], keys: ['{ONE} laptop', '{ONE}']}}
  night: {{}}
may: {{run: operator, cancel: [dba_lead]}}
ssh: {{known_hosts: ~/kh, agent: no, connect_timeout: 1500ms}}
audit: {{every: 2m}}
"""
    loaded = site(tmp_path, text)
    assert loaded.name == "医院"
    assert loaded.paths("inventory") == (tmp_path / "a", tmp_path / "b.yml")
    person = loaded.people["dba-1"]
    assert (person.id, person.name, person.roles) == ("dba-1", "DBA 1", frozenset({"dba_lead", "operator"}))
    assert person.keys == (ONE,), "the comment is no part of a key, and the same key twice is one"
    assert loaded.people["night"].name == "night"
    assert loaded.settings.ssh.known_hosts == Path.home() / "kh"
    assert (loaded.settings.ssh.agent, loaded.settings.ssh.connect_timeout) == (False, 1.5)
    assert loaded.settings.audit.every == 120
    assert loaded.may("dba-1", "run", NOW) and loaded.may("dba-1", "cancel", NOW)
    assert not loaded.may("dba-1", "decide", NOW) and not loaded.may("night", "run", NOW) and not loaded.may("nobody", "run", NOW)
    with pytest.raises(UsageError, match="cancle"):
        loaded.may("dba-1", "cancle", NOW)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_other_kinds_of_keys(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    keys = [
        key(ec.generate_private_key(curve)),
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIIr06/bP3qJ9MLSJx7jv1mZSN7yqPhZb"
        "YE9kYxLyLoH5AAAABHNzaDo=",
    ]
    assert site(tmp_path, f"people: {{a: {{keys: {keys}}}}}\n").people["a"].keys == tuple(keys)


def test_people_from_another_file(tmp_path: Path) -> None:
    settings = "people_from: team/people.yml\nmay: {run: [operatr]}\n"
    loaded = site(tmp_path, settings)
    assert [(w.code, w.severity, w.line) for w in loaded.warnings] == [("HA207", "warning", 1)]

    (tmp_path / "team").mkdir()
    people = tmp_path / "team" / "people.yml"
    people.write_text(f"people:\n  dba-1: {{roles: [operator], keys: ['{ONE}']}}\n")
    loaded = Site.load(tmp_path)
    assert list(loaded.people) == ["dba-1"]
    assert [(w.code, w.line, w.hint) for w in loaded.warnings] == [("HA208", 2, "did you mean 'operator'?")]

    people.write_text(f"people:\n  dba-1: {{keys: ['{TWO}']}}\n  dba-2: {{keys: ['{ONE}']}}\n")
    with pytest.raises(Invalid) as raised:
        site(tmp_path, settings + f"people: {{dba-1: {{keys: ['{ONE}']}}}}\n")
    assert [(p.code, p.file, p.line) for p in raised.value.problems] == [
        ("HA206", "team/people.yml", 2), ("HA204", "team/people.yml", 3),
    ]  # fmt: skip

    people.write_text("people:\n  dba-1:\n    kyes: []\n")
    with pytest.raises(Invalid, match=r"team/people.yml:3:5"):
        Site.load(tmp_path)
    people.unlink()
    people.mkdir()
    with pytest.raises(NotFound, match="can't be read"):
        Site.load(tmp_path)


def test_the_digest_of_people_is_of_what_counts(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return site(tmp_path, text).people_digest

    one = digest(f"people: {{a: {{roles: [x, y], keys: ['{ONE}', '{TWO}']}}, b: {{}}}}\n")
    assert len(one) == 64
    assert digest(f"people: {{b: {{}}, a: {{roles: [y, x], keys: ['{TWO} home', '{ONE}']}}}}\n") == one
    assert digest(f"people: {{a: {{roles: [x], keys: ['{ONE}', '{TWO}']}}, b: {{}}}}\n") != one
    assert digest(f"people: {{a: {{roles: [x, y], keys: ['{ONE}']}}, b: {{}}}}\n") != one


def test_find_site_looks_upward(tmp_path: Path) -> None:
    (tmp_path / "hisauto.yml").write_text("site: {}\n")
    below = tmp_path / "runbooks" / "deep"
    below.mkdir(parents=True)
    assert find_site(below) == find_site(tmp_path) == tmp_path


def test_no_site(tmp_path: Path) -> None:
    if any((folder / "hisauto.yml").exists() for folder in tmp_path.parents):
        pytest.skip("the temporary folder stands inside a site")
    with pytest.raises(UsageError) as raised:
        find_site(tmp_path)
    assert "--site" in (raised.value.hint or "")
    with pytest.raises(UsageError):
        Site.load(tmp_path)


def test_state_is_its_owners_only(root: Path) -> None:
    old = os.umask(0)
    try:
        loaded = Site.load(root)
        assert not (root / ".hisauto").exists(), "made on demand, not by looking"
        assert loaded.state == root / ".hisauto"
        deep = loaded.folder("lab", "keys")
    finally:
        os.umask(old)
    for folder in (loaded.state, deep, deep.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    loaded.state.chmod(0o755)
    assert stat.S_IMODE(loaded.state.stat().st_mode) == 0o700, "an open one is closed again"


def test_database_url(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HISAUTO_DATABASE_URL", raising=False)
    assert Site.load(root).database_url == f"sqlite:///{root}/.hisauto/hisauto.db"
    configured = site(root, "database: postgresql://u@h/d\n")
    assert configured.database_url == "postgresql://u@h/d"
    monkeypatch.setenv("HISAUTO_DATABASE_URL", "sqlite:////elsewhere.db")
    assert configured.database_url == "sqlite:////elsewhere.db"


def test_the_reference_site_is_sound(tmp_path: Path) -> None:
    ours = Path(__file__).parents[2] / "hisauto.yml"
    loaded = site(tmp_path, ours.read_text())
    assert loaded.id == "his-lab"
    assert [w.code for w in loaded.warnings] == ["HA207"]
    assert {deed: set(getattr(loaded.settings.may, deed)) for deed in ("run", "decide")} == {
        "run": {"operator", "dba_lead", "duty_manager"}, "decide": {"dba_lead", "duty_manager"},
    }  # fmt: skip


def test_a_key_has_its_time_and_a_deputy_theirs(tmp_path: Path) -> None:
    loaded = site(tmp_path, f"""
people:
  dba-1: {{roles: [dba], keys: [{{key: '{ONE} laptop', valid_from: 2026-11-23T04:00+01:00, expires: 2026-11-30}}]}}
  duty-1: {{roles: [duty, lead], keys: [{{key: '{TWO}', revoked: 2026-11-01}}]}}
deputies:
  - {{of: duty-1, deputy: dba-1, roles: lead, from: 2026-11-23, to: 2026-11-24, zone: Asia/Shanghai, reason: leave}}
  - {{of: dba-1, deputy: duty-1, from: 2026-12-24, to: 2026-12-24, zone: Asia/Shanghai}}
may: {{run: lead}}
""")
    dba, duty = loaded.people["dba-1"], loaded.people["duty-1"]
    assert dba.at(NOW).keys == (ONE,) and dba.at(NOW).silent == {}
    assert dba.at(NOW - timedelta(seconds=1)).silent == {ONE: "is not valid before 2026-11-23T03:00:00.000Z"}
    assert dba.at(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)).keys == (ONE,), "the last day counts"
    assert dba.at(datetime(2026, 12, 1, tzinfo=UTC)).silent == {ONE: "expired at 2026-12-01T00:00:00.000Z"}
    assert duty.at(datetime(2026, 10, 1, tzinfo=UTC)).keys == (), "revoked is revoked, whatever the clock says"
    begins, ends = datetime(2026, 11, 22, 16, tzinfo=UTC), datetime(2026, 11, 24, 16, tzinfo=UTC)
    held = {moment: dba.at(moment).roles for moment in (begins - timedelta(seconds=1), begins, ends)}
    assert held == {begins - timedelta(seconds=1): {"dba"}, begins: {"dba", "lead"}, ends: {"dba"}}
    assert loaded.may("dba-1", "run", begins) and not loaded.may("dba-1", "run", ends)
    assert duty.at(datetime(2026, 12, 24, tzinfo=UTC)).roles == {"duty", "lead", "dba"}, "without what dba-1 is deputy for"


@pytest.mark.parametrize("change", ["expires: 2027-01-31", "valid_from: 2027-01-31", "revoked: 2027-01-31"])
def test_the_peoples_digest_holds_the_time_of_each_key_and_of_deputies(tmp_path: Path, change: str) -> None:
    text = f"people:\n  a: {{keys: [{{key: '{ONE}'}}]}}\n  b: {{roles: [dba]}}\n"
    before = site(tmp_path, text).people_digest
    assert site(tmp_path, text.replace(f"'{ONE}'", f"'{ONE}', {change}")).people_digest != before
    assert site(tmp_path, text + f"deputies: [{{of: b, deputy: a, {LEAVE}}}]\n").people_digest != before
