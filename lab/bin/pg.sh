#!/bin/bash
# pg start|stop|kill|fence|unfence|status|role|lag|promote|clone HOST|rewind HOST|sync HOST|sync none
# This host's PostgreSQL. Every verb may be repeated. Exit 3: refused.
set -eu
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
. "$top/etc/lab.env"
PATH=$pg_bin:$PATH
export PGPASSFILE=$top/home/.pgpass PGCONNECT_TIMEOUT=3
. "$top/bin/pg-here" # how this kind of host runs it: data, passfile, as_postgres, *_it, fenced, synced

refuse() { echo "pg: refused: $*" >&2; exit 3; }
conn() { local a=address_$1; echo "host=${!a:?no such host: $1} port=$port user=$2 dbname=postgres"; }
sql() { psql -XAtq -v ON_ERROR_STOP=1 -d "$(conn "$1" postgres)" -c "$2"; }
# a backend may outlive its postmaster by a statement: what counts is every process that works in the data folder
pids() { find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' -lname "$data*" -printf '%h\n' 2>/dev/null | sed 's,/proc/,,'; }
running() { [ -n "$(pids)" ]; }
role() {
  running || { echo down; return; }
  case $(sql "$host" 'select pg_is_in_recovery()' 2>/dev/null) in
    f) echo primary ;;
    t) echo standby ;;
    *) echo unknown ;;
  esac
}
need_primary() {
  [ "$1" != "$host" ] || refuse "$1 is this host"
  [ "$(sql "$1" 'select pg_is_in_recovery()')" = f ] || refuse "$1 is not a primary"
}
start() {
  ! fenced || refuse "fenced; 'pg unfence' lifts it"
  running || start_it
}
stop() { if running; then stop_it; fi; }
kill_all() {
  local left tries=0
  while left=$(pids); [ -n "$left" ]; do
    kill -KILL $left 2>/dev/null || true
    [ $((tries += 1)) -lt 500 ] || { echo "pg: processes do not die: $left" >&2; exit 1; }
    sleep 0.01
  done
}
follow() { # whom to follow is this host's own matter, so nothing of what a copy brought along stays
  as_postgres tee "$data/postgresql.auto.conf" >/dev/null <<CONF
primary_conninfo = '$(conn "$1" repl) passfile=$passfile application_name=$host connect_timeout=3'
CONF
  as_postgres touch "$data/standby.signal"
}
setting() { sql "$1" "alter system set synchronous_standby_names = '$2'"; sql "$1" 'select pg_reload_conf()' >/dev/null; }
wait_for() { # SECONDS QUERY: until it answers t
  local i
  for ((i = 0; i < $1 * 20; i++)); do
    [ "$(sql "$host" "$2")" = t ] && return
    sleep 0.05
  done
  echo "pg: not so within $1 s: $2" >&2
  exit 1
}

case ${1:-} in
  start | stop | kill | fence | unfence | promote | clone | rewind | sync) # one at a time: a start can't slip past a fence
    exec 9>>"$top/etc/pg.lock"
    flock -w 40 9 || { echo "pg: another pg command holds the lock" >&2; exit 1; } ;;
esac
case ${1:-} in
  start) start ;;
  stop) stop ;;
  kill) kill_all ;;
  fence) fence_it; kill_all ;;
  unfence) unfence_it ;;
  status) if running; then echo running; else echo stopped; ! fenced || echo fenced; exit 3; fi ;;
  role) role ;;
  lag) sql "$host" "select application_name, state, sync_state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)
                    from pg_stat_replication" ;;
  promote)
    ! fenced || refuse "fenced; 'pg unfence' lifts it"
    if [ "$(role)" != primary ]; then
      setting "$host" '' # it will have no standby to wait for
      as_postgres pg_ctl -D "$data" -s -w -t 60 promote
    fi ;;
  clone)
    need_primary "$2"
    ! running || refuse "PostgreSQL runs here; stop it first"
    rm -rf "$data"
    as_postgres pg_basebackup -d "$(conn "$2" repl)" -D "$data" -X stream -c fast --no-sync
    follow "$2"
    synced ;;
  rewind)
    need_primary "$2"
    stop
    sql "$2" checkpoint # so that the source's control file shows its new timeline
    as_postgres pg_rewind -D "$data" --source-server="$(conn "$2" repl)" $config_file --no-sync
    follow "$2"
    synced ;;
  sync)
    if [ "$2" = none ]; then
      setting "$host" ''
    else
      wait_for 30 "select exists(select from pg_stat_replication where application_name = '$2' and state = 'streaming')"
      setting "$host" "FIRST 1 ($2)"
      wait_for 30 "select exists(select from pg_stat_replication where application_name = '$2' and sync_state = 'sync')"
    fi ;;
  *) sed -n 2,3p "$0" >&2; exit 2 ;;
esac
