# PostgreSQL on a host that is a process tree. Sourced by pg.
data=$top/data passfile=$PGPASSFILE config_file=
fence=$top/etc/pg.fenced

as_postgres() { "$@"; }
start_it() { pg_ctl -D "$data" -l "$top/log/postgres.log" -s -w -t 30 start 9>&-; }
stop_it() { pg_ctl -D "$data" -m fast -s -w -t 30 stop; }
synced() { :; } # no power cut loses the page cache
fenced() { [ -e "$fence" ]; }
fence_it() { touch "$fence"; }
unfence_it() { rm -f "$fence"; }
