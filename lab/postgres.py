"""PostgreSQL of the lab: the cluster template, its configuration, and what a reboot clears of it."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.layout import DATABASES, PG_PORT, Lab

ROLES = ("postgres", "repl", "his", "hisauto", "watcher")

COMMON = """\
max_connections = 60
wal_level = replica
hot_standby = on
max_wal_senders = 5
wal_keep_size = 256MB                   # instead of slots: what a rewind needs is still there
min_wal_size = 2MB
max_wal_size = 64MB
wal_receiver_status_interval = 1s
wal_receiver_timeout = 5s
wal_sender_timeout = 5s
wal_retrieve_retry_interval = 500ms
"""
"""What holds in every kind of lab."""

CONF = f"""\
port = {PG_PORT}
include = '../etc/host.conf'            # per host; the rest is copied by a clone or a rewind
unix_socket_directories = ''
dynamic_shared_memory_type = mmap       # nothing in /dev/shm that a power cut would leave
shared_buffers = 16MB
{COMMON}fsync = off                             # no power cut of the lab loses the page cache
logging_collector = off
log_line_prefix = '%m [%p] '
"""



def hba(network: str) -> str:
    """Who may log in from where, with a password."""
    return f"host all all {network} scram-sha-256\nhost replication repl {network} scram-sha-256\n"


REWIND = (
    "grant execute on function pg_ls_dir(text,boolean,boolean), pg_stat_file(text,boolean),"
    " pg_read_binary_file(text), pg_read_binary_file(text,bigint,bigint,boolean) to repl"
)

SCHEMA = [
    "create table registrations(id bigserial primary key, patient text not null, department text not null,"
    " received_by text not null, at timestamptz not null default now())",
    "alter table registrations owner to his",
    "create table writes(n bigint primary key, at timestamptz not null default now())",
    "alter table writes owner to his",
    # unlogged: the watcher's writes cost no replication and don't come back after a promotion
    "create unlogged table watch(id int primary key, at timestamptz not null)",
    "alter table watch owner to watcher",
    # What the primary knows of its standby, replicated: the only word on that which survives the primary.
    "create table replication_seen(id int primary key, synchronous boolean not null, sync_state text not null,"
    " at timestamptz not null)",
    "create function note_replication() returns void language sql security definer set search_path = pg_catalog as"
    " 'insert into public.replication_seen select 1, coalesce(bool_or(sync_state = ''sync''), false),"
    " coalesce(max(sync_state), ''none''), clock_timestamp() from pg_stat_replication"
    " on conflict (id) do update set synchronous = excluded.synchronous, sync_state = excluded.sync_state,"
    " at = excluded.at'",
    "revoke execute on function note_replication() from public",
    "grant execute on function note_replication() to his",
    "grant select on registrations, writes, replication_seen to hisauto",
]


def roles(passwords: dict[str, str]) -> list[str]:
    """SQL that makes the roles and the empty database."""
    return [
        *(f"create role {role} login {'replication' if role == 'repl' else ''} password '{passwords[role]}'"
          for role in ROLES if role != "postgres"),
        "grant pg_monitor to hisauto", REWIND, "create database his owner his",
    ]  # fmt: skip


def new_passwords() -> dict[str, str]:
    """``{database role: password}``, made on the spot."""
    return {role: secrets.token_hex(16) for role in ROLES}


def bindir() -> Path:
    """The newest installed PostgreSQL's own binaries, 13 or later; Debian's wrappers are slow. Raises LabError."""
    found = {
        int(match[1]): path
        for path in Path("/usr/lib/postgresql").glob("*/bin")
        if (match := re.fullmatch(r"(\d+)", path.parent.name)) and (path / "initdb").exists()
    }
    if not found or max(found) < 13:
        raise LabError("PostgreSQL 13 or newer is not installed", hint="apt-get install postgresql")
    return found[max(found)]


def _single(data: Path, database: str, statements: list[str]) -> None:
    """Run statements, one a line, in single-user mode: no port, no wait for a start."""
    done = subprocess.run(
        [bindir() / "postgres", "--single", "-F", "-j", "-D", data, database], text=True, capture_output=True,
        input="".join(f"{statement};\n\n" for statement in statements), check=False,
    )
    if done.returncode != 0 or re.search(r"\b(ERROR|FATAL|PANIC):", done.stderr):
        raise LabError(f"PostgreSQL refused to set up the template: {done.stderr.strip()[-500:]}")


def make_template(lab: Lab) -> None:
    """initdb, roles and tables, once; every ``up`` copies it. Made aside and renamed: half a template is never used."""
    if lab.template.exists():
        return
    aside = lab.folder / "template.new"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    data, passwords = aside / "data", new_passwords()
    (aside / "passwords.json").touch(mode=0o600)
    (aside / "passwords.json").write_text(json.dumps(passwords))
    (aside / "pw").touch(mode=0o600)
    (aside / "pw").write_text(passwords["postgres"])
    done = subprocess.run(
        [bindir() / "initdb", "-D", data, "-U", "postgres", "-k", "--wal-segsize=1", "--no-sync", "-E", "UTF8",
         "--locale=C.UTF-8", "-A", "scram-sha-256", f"--pwfile={aside}/pw", "--no-instructions"],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    (aside / "pw").unlink()
    if done.returncode != 0:
        raise LabError(f"initdb failed: {done.stderr.strip()[-500:]}")
    (data / "pg_hba.conf").write_text(hba("127.0.0.0/8"))
    _single(data, "postgres", roles(passwords))
    _single(data, "his", SCHEMA)
    (data / "postgresql.conf").write_text(CONF)
    aside.rename(lab.template)


def host_conf(lab: Lab, name: str) -> str:
    """The settings that differ between hosts and must survive a rewind."""
    return f"listen_addresses = '{lab.address(name)}'\ncluster_name = '{name}'\n"


def copy_primary(lab: Lab, name: str) -> None:
    """The template as this host's data. The standby is a real base backup, made by the host's own tool.

    The synchronous standby is named only once it streams: before that every commit would wait for it.
    """
    subprocess.run(
        ["cp", "-a", "--reflink=auto", lab.template / "data", lab.host(name) / "data"], check=True
    )
    (lab.host(name) / "data/postgresql.auto.conf").write_text("")


def release(data: Path) -> None:
    """What a reboot clears: the shared memory segment on line 7 of the pid file, and the pid file, now stale."""
    pidfile = data / "postmaster.pid"
    try:
        lines = pidfile.read_text().splitlines()
    except OSError:
        return
    if len(lines) > 6 and len(lines[6].split()) == 2:
        subprocess.run(["ipcrm", "-m", lines[6].split()[1]], stderr=subprocess.DEVNULL, check=False)
    pidfile.unlink(missing_ok=True)


def release_all(lab: Lab) -> None:
    """``release`` for every database host, after its processes have been killed."""
    for name in DATABASES:
        release(lab.host(name) / "data")
