"""``sql`` against a real PostgreSQL, a refusal, and three kinds of silence."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hisauto.errors import HisautoError
from hisauto.model.action import Observation, Place, Purpose
from hisauto.model.transport import Completed

from .peers import ACTIONS, Postgres, command_lines, do, execute, until

SQL = ACTIONS["sql"]
Vars = dict[str, Any]
FIXED = {"LC_ALL": "C", "PGAPPNAME": "hisauto", "PGCLIENTENCODING": "UTF8", "PGCONNECT_TIMEOUT": "3", "PGTZ": "UTC"}
DB1: Vars = {
    "pg_host": "127.0.77.1", "pg_port": 5433, "pg_user": "probe", "pg_database": "his", "pg_passfile": "/k/pass",
}  # fmt: skip
ENV1 = {"PGHOST": "127.0.77.1", "PGPORT": "5433", "PGUSER": "probe", "PGDATABASE": "his", "PGPASSFILE": "/k/pass"}
ALL: dict[str, Vars] = {
    "db1": DB1, "db2": {"ansible_host": "10.0.0.2"}, "db3": {"pg_host": "/run/postgresql"}, "app1": {},
}  # fmt: skip

LOOK = """exec psql -XAtqw -v ON_ERROR_STOP=1 <<'HISAUTO_END'
begin read only;
set local statement_timeout = '60s';
select $hisauto$select coalesce(json_agg(row_to_json(hisauto)), '[]') from (
select 1 as a
) hisauto$hisauto$ \\gexec
commit;
HISAUTO_END
"""
CHANGE_ROWS = """exec psql -XAtqw -v ON_ERROR_STOP=1 <<'HISAUTO_END'
select $hisauto$select coalesce(json_agg(row_to_json(hisauto)), '[]') from (
SELECT pg_promote()
) hisauto$hisauto$ \\gexec
HISAUTO_END
"""
CHANGE = """exec psql -XAtw -v ON_ERROR_STOP=1 <<'HISAUTO_END_'
select $hisauto_$update t set a = 'HISAUTO_END $hisauto$'$hisauto_$ \\gexec
HISAUTO_END_
"""

CALLS: list[tuple[str, dict[str, object], Place, Purpose, str, str, dict[str, str]]] = [
    ("a look", {"query": "select 1 as a;"}, Place("db1", DB1, ALL), "look", LOOK, "host", ENV1),
    ("rows of a change", {"query": "SELECT pg_promote()"}, Place("db1", DB1, ALL), "change", CHANGE_ROWS, "host", ENV1),
    ("a change", {"query": "update t set a = 'HISAUTO_END $hisauto$'"}, Place("db1", DB1, ALL), "change", CHANGE,
     "host", ENV1),
    ("on", {"query": "select 1 as a", "on": "db1"}, Place("app1", {}, ALL), "look", LOOK, "host", ENV1),
    ("on one host of a name", {"query": "select 1 as a", "on": ["db1"]}, Place("app1", {}, ALL), "look", LOOK,
     "host", ENV1),
    ("on, by its address", {"query": "select 1 as a", "on": "db2"}, Place("app1", {}, ALL), "look", LOOK, "host",
     {"PGHOST": "10.0.0.2"}),
    ("direct", {"query": "select 1 as a", "database": "x"}, Place("db1", {**DB1, "sql_via": "direct"}, ALL), "look",
     LOOK, "node", {**ENV1, "PGDATABASE": "x"}),
    ("from the node", {"query": "select 1 as a", "on": "db1"}, Place(None, {}, ALL), "look", LOOK, "node", ENV1),
    ("psql's own defaults", {"query": "select 1 as a"}, Place("app1", {}, ALL), "look", LOOK, "host", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "place", "purpose", "text", "on", "env"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS]
)
def test_script(
    fields: dict[str, object], place: Place, purpose: Purpose, text: str, on: str, env: dict[str, str]
) -> None:
    call = SQL.call(SQL.fields.model_validate(fields), place, purpose)
    assert call.script.text == text
    assert (call.on, dict(call.script.env)) == (on, {**env, **FIXED})


@pytest.mark.parametrize(
    ("fields", "place", "message"),
    [
        ({"query": "select 1", "on": "db9"}, Place("app1", {}, ALL), "no host 'db9'"),
        ({"query": "select 1"}, Place("db1", {"sql_via": "odbc"}, ALL), "sql_via of db1 is 'odbc'"),
        ({"query": "select 1", "on": "db3"}, Place("app1", {}, ALL), "'/run/postgresql': from app1 that is another"),
        ({"query": "select 1", "on": "x"}, Place(None, {}, {"x": {"pg_host": "::1"}}), "'::1': from the node"),
    ],
)
def test_what_cannot_be_asked(fields: dict[str, object], place: Place, message: str) -> None:
    with pytest.raises(HisautoError, match=message):
        SQL.call(SQL.fields.model_validate(fields), place, "look")


def test_on_is_one_host() -> None:
    with pytest.raises(ValidationError, match="expected one host, got 2"):
        SQL.fields.model_validate({"query": "select 1", "on": ["db1", "db2"]})


TYPES = [
    ("'汉字 \"x\" $1 \\'::text", '汉字 "x" $1 \\'),
    ("E'two\\nlines'", "two\nlines"),
    ("7::int", 7),
    ("9007199254740991::bigint", 2**53 - 1),
    ("9007199254740993::bigint", "9007199254740993"),
    ("1.50::numeric", 1.5),
    ("'NaN'::numeric", "NaN"),
    ("1e999::numeric", "1" + "0" * 999),
    ("true", True),
    ("null", None),
    ("'{\"a\":\n [1, null]}'::json", {"a": [1, None]}),
    ("'{\"a\": true}'::jsonb", {"a": True}),
    ("timestamp '2026-11-23 03:00'", "2026-11-23T03:00:00"),
    ("timestamptz '2026-11-23 03:00+08'", "2026-11-22T19:00:00+00:00"),
    ("array['a', null]", ["a", None]),
    ("'0/16B3748'::pg_lsn", "0/16B3748"),
]


def test_types_are_the_same_on_every_path(pg: Postgres) -> None:
    query = "select " + ", ".join(f"{sql} as c{i}" for i, (sql, _) in enumerate(TYPES))
    want = {f"c{i}": value for i, (_, value) in enumerate(TYPES)}
    for place in (pg.place(), pg.place(pg_host=str(pg.folder)), pg.place(sql_via="direct")):
        for purpose in ("look", "change"):
            seen = do("sql", query, place, purpose)
            assert seen.known, seen.why
            assert seen.values["row"] == want
            assert [type(v) for v in seen.values["row"].values()] == [type(v) for v in want.values()]


def test_rows(pg: Postgres) -> None:
    seen = do("sql", "select n from generate_series(3, 1, -1) n order by n -- sorted", pg.place())
    assert seen == Observation(
        True,
        {
            "rc": 0,
            "refused": False,
            "error": "",
            "rows": [{"n": 1}, {"n": 2}, {"n": 3}],
            "rowcount": 3,
            "row": {"n": 1},
        },
    )
    none = do("sql", {"query": "with x as (select 1 as a) select a from x where a > 1"}, pg.place())
    assert (none.values["rows"], none.values["rowcount"]) == ([], 0)
    assert "row" not in none.values


def test_a_query_is_only_a_query(pg: Postgres, tmp_path: Path) -> None:
    """psql's own language is out of reach, whichever way a value gets into the text."""
    trap = tmp_path / "trap"
    for query in (
        f"select 1 \\! touch {trap}",
        f"select 1\n\\! touch {trap}\n",
        f"select 1\nHISAUTO_END\ntouch {trap}\n",
    ):
        for purpose in ("look", "change"):
            assert do("sql", query, pg.place(), purpose).values["rc"] == 3
    assert not trap.exists()
    row = do("sql", "select ':PGUSER' as a, '$hisauto$' as b, 'HISAUTO_END' as c", pg.place()).values["row"]
    assert row == {"a": ":PGUSER", "b": "$hisauto$", "c": "HISAUTO_END"}


def test_a_look_cannot_write(pg: Postgres) -> None:
    made = do(
        "sql",
        "create table seen (a int); create sequence numbers; insert into seen values (1), (2)",
        pg.place(),
        "change",
    )
    assert made.values["rowcount"] == 2
    for query in (
        "select nextval('numbers')",
        "insert into seen values (3)",
        "with x as (insert into seen values (3) returning a) select a from x",
        "select set_config('transaction_read_only', 'off', false), nextval('numbers')",
        "select 1) x; commit; insert into seen values (3); select * from (select 1",
    ):
        seen = do("sql", query, pg.place())
        assert seen.values["rc"] == 3, query
        assert "row" not in seen.values
        assert seen.why
    assert do("sql", "select count(*) as n from seen", pg.place()).values["row"] == {"n": 2}


def test_a_change_is_one_transaction(pg: Postgres) -> None:
    do("sql", "create table one (a int)", pg.place(), "change")
    failed = do("sql", "insert into one values (1); insert into one values (1/0)", pg.place(), "change")
    assert (failed.known, failed.values["rc"], failed.values["refused"]) == (True, 3, False)
    assert "division by zero" in failed.values["error"]
    assert do("sql", "select * from one", pg.place()).values["rowcount"] == 0
    assert do("sql", "insert into one values (1), (2), (3)", pg.place(), "change").values["rowcount"] == 3
    assert do("sql", "update one set a = 4 where a > 1", pg.place(), "change").values["rowcount"] == 2
    # What refuses to run in a transaction block does run.
    assert do("sql", "alter system set work_mem = '5MB'", pg.place(), "change").values["rc"] == 0
    assert (
        "rowcount" not in do("sql", "with x as (select 'UPDATE' as a) select a, 3 from x", pg.place(), "change").values
    )


def test_an_answer_is_no_refusal(pg: Postgres, starting_pg: Postgres) -> None:
    """Whoever says FATAL is there: not refused, and nothing else is told."""
    until(lambda: do("sql", "select 1", starting_pg.place()).values.get("refused") is False)
    for place in (
        starting_pg.place(),
        pg.place(pg_database="nothing"),
        pg.place(pg_user="guarded", pg_passfile="/dev/null"),
    ):
        for purpose in ("look", "change"):
            seen = do("sql", "select 1 as a", place, purpose)
            assert seen.known, seen.why
            assert set(seen.values) == {"rc", "refused", "error"}
            assert seen.values["refused"] is False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused(host: str, refused_port: int) -> None:
    seen = do("sql", "select 1", Place("db1", {"pg_host": host, "pg_port": refused_port, "pg_user": "x"}, {}))
    assert seen.known, seen.why
    assert (seen.values["refused"], set(seen.values)) == (True, {"rc", "refused", "error"})


@pytest.mark.parametrize("kind", ["dark_port", "mute_port"])
def test_silence_is_not_evidence(kind: str, request: pytest.FixtureRequest) -> None:
    place = Place("db1", {"pg_host": "127.0.0.1", "pg_port": request.getfixturevalue(kind), "pg_user": "x"}, {})
    fields = SQL.fields.model_validate({"query": "delete from t"})
    done = execute(SQL.call(fields, place, "change"))
    look = SQL.read(fields, done, "look")
    assert (look.known, dict(look.values)) == (False, {})
    assert "timeout expired" in look.why
    # A change that nobody heard of has not happened; whether they refused is still not known.
    change = SQL.read(fields, done, "change")
    assert (change.known, set(change.values)) == (True, {"rc", "error"})


def test_a_missing_socket_is_not_a_refusal(tmp_path: Path) -> None:
    assert not do("sql", "select 1", Place("db1", {"pg_host": str(tmp_path), "pg_user": "x"}, {})).known


def test_a_broken_off_query_is_in_doubt(pg: Postgres) -> None:
    seen: list[Observation] = []
    query = "update pg_class set relname = relname where pg_sleep(60) is null /* victim */"
    thread = threading.Thread(target=lambda: seen.append(do("sql", query, pg.place(), "change")))
    thread.start()
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity where query like '%victim%' and pid <> pg_backend_pid()"
    )
    until(lambda: do("sql", kill, pg.place(), "change").values["rowcount"] == 1)
    thread.join(10)
    assert (seen[0].known, dict(seen[0].values)) == (False, {})


def test_no_query_in_the_process_list(pg: Postgres) -> None:
    thread = threading.Thread(target=lambda: do("sql", "select pg_sleep(60), 'very private'", pg.place()))
    thread.start()
    asleep = "from pg_stat_activity where query like '%very private%' and pid <> pg_backend_pid()"
    until(lambda: do("sql", f"select 1 {asleep}", pg.place()).values["rowcount"] == 1)
    shown = command_lines()
    do("sql", f"select pg_terminate_backend(pid) {asleep}", pg.place(), "change")
    thread.join(30)
    mine = [line for line in shown if line.partition(b"\0")[0].endswith(b"psql")]
    assert mine, "psql was not seen at all"
    assert not [line for line in mine if b"private" in line]


@pytest.mark.parametrize(
    ("rc", "err", "purpose", "known", "refused"),
    [
        # libpq 11 and 13
        (2, "psql: could not connect to server: Connection refused\n\tIs the server running", "look", True, True),
        (2, "psql: error: could not connect to server: Connection refused\n", "look", True, True),
        (2, "psql: error: could not connect to server: Connection timed out\n", "look", False, None),
        (2, "psql: error: could not connect to server: FATAL:  the database system is", "look", True, False),
        # several addresses of one name: all have to refuse
        (2, "psql: error: connection to server at \"x\" (::1), port 1 failed: Connection refused\n"
            "connection to server at \"x\" (10.0.0.1), port 1 failed: timeout expired", "look", False, None),
        (2, "psql: error: connection to server at \"x\" (::1), port 1 failed: 致命错误:  口令", "look", True, False),
        (2, "psql: error: connection to server at \"x\" (::1), port 1 failed: server closed the connection",
         "look", False, None),
        (2, "psql: error: could not translate host name \"x\" to address: unknown", "look", False, None),
        (2, "FATAL:  terminating connection\nconnection to server was lost", "change", False, None),
        (1, "psql: error: out of memory", "change", False, None),
        (127, "sh: psql: not found", "look", False, None),
        (127, "sh: psql: not found", "change", True, None),
    ],
)  # fmt: skip
def test_read(rc: int, err: str, purpose: Purpose, known: bool, refused: bool | None) -> None:
    seen = SQL.read(SQL.fields.model_validate({"query": "select 1"}), Completed(rc, "exit", b"", err.encode()), purpose)
    assert (seen.known, seen.values.get("refused")) == (known, refused)
    assert seen.why


def test_psql_is_called_by_nothing_else_of_the_host(pg: Postgres, tmp_path: Path) -> None:
    """A ~/.psqlrc of the host's user has no part in it."""
    (tmp_path / ".psqlrc").write_text("\\echo hello\n\\pset format html\n")
    fields = SQL.fields.model_validate({"query": "select 1 as a"})
    call = SQL.call(fields, pg.place(), "look")
    env = {**os.environ, **call.script.env, "HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", call.script.text], env=env, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stdout == b'[{"a":1}]\n'
