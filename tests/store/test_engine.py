"""Opening: URLs, file modes, migrations."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import hisauto.store
from hisauto.errors import Broken, RecordAway, UsageError
from hisauto.store.engine import open_store
from hisauto.store.schema import REVISION, metadata
from hisauto.store.store import Store

from .runs import log, requested


def test_the_migrations_lead_to_the_tables_that_the_code_has(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_known_revision_is_the_newest() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(hisauto.store.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_a_database_keeps_what_it_has_when_it_is_opened_again(store: Store, url: str) -> None:
    run = requested(store)
    again = open_store(url)
    assert again.view(run) == store.view(run)
    again.close()


def test_a_newer_schema_is_refused_and_left_alone(store: Store, url: str) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Broken, match="revision 9999, and this version of hisauto knows only up to") as caught:
        open_store(url)
    assert caught.value.hint
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"


def test_opening_an_up_to_date_database_needs_no_alembic(store: Store, url: str) -> None:
    code = (
        "import sys\nfrom hisauto.store.engine import open_store\nopen_store(sys.argv[1])\n"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_processes_that_open_a_new_database_at_once_make_it_once(url: str) -> None:
    code = (
        "import sys\nfrom hisauto.store.engine import open_store\nprint('ready', flush=True)\nsys.stdin.read()\n"
        "open_store(sys.argv[1])"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", code, url], stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(4)
    ]
    for process in several:
        assert process.stdout is not None
        process.stdout.readline()
    for process in several:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    for process in several:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    store = open_store(url)
    assert log(store) == []
    store.close()


def test_a_new_database_is_nobody_elses_business(tmp_path: Path) -> None:
    file = tmp_path / "state" / "deep" / "hisauto.db"
    store = open_store(f"sqlite:///{file}")
    requested(store)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [file.parent, *file.parent.iterdir()]}
    assert modes == {"deep": 0o700, "hisauto.db": 0o600, "hisauto.db-wal": 0o600, "hisauto.db-shm": 0o600}
    store.close()


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "hisauto.db"
    file.touch(mode=0o644)
    file.chmod(0o644)
    open_store(f"sqlite:///{file}").close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_sqlite_is_as_durable_as_it_can_be(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hisauto.db")
    with store.engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30000}
    store.close()


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@h/d", "u:hunter2@h", "x.db"])
def test_what_is_no_database_to_use(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    url = sa.URL.create("postgresql", "u", "hunter2", database="d", query={"host": str(tmp_path)})
    with pytest.raises(RecordAway) as caught:
        open_store(url.render_as_string(hide_password=False))
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "hisauto.db"
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(Broken, match=r"hisauto\.db refused: file is not a database"):
        open_store(f"sqlite:///{file}")


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be opened"):
        open_store(f"sqlite:///{tmp_path}/file/hisauto.db")
