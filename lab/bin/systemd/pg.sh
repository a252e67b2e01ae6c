# PostgreSQL as Debian's packages and systemd run it. Sourced by pg.
[ "$(id -u)" = 0 ] || exec sudo -n "$0" "$@"
unit=postgresql@${cluster/\//-}.service
data=/var/lib/postgresql/$cluster passfile=/var/lib/postgresql/.pgpass
config_file=--config-file=/etc/postgresql/$cluster/postgresql.conf # not in the data folder, as pg_rewind would have it

as_postgres() { (cd /; runuser -u postgres -- env PGPASSFILE="$passfile" "$@" 9>&-); }
start_it() {
  systemctl start "$unit" 9>&-
  running || { journalctl -q -n 5 -o cat -u "$unit" >&2; exit 1; } # Debian's unit says nothing of a failed start
}
stop_it() { systemctl stop "$unit"; }
synced() { sync -f "$data"; } # once for all: PostgreSQL would sync file by file
fenced() { [ "$(systemctl show -P LoadState "$unit")" = masked ]; }
fence_it() { # masked on the disk before anything is killed: neither a start nor a power cut slips past it
  systemctl mask -q "$unit"
  sync -f /etc/systemd/system
}
unfence_it() { systemctl unmask -q "$unit"; sync -f /etc/systemd/system; }
