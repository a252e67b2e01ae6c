# The registration service on a host that is a process tree. Sourced by app.
pidfile=$top/run/app.pid ledger=$top/log/registrations.jsonl

# the service holds a lock on its pid file as long as it lives: no stale pid is ever believed
running() { [ -e "$pidfile" ] && ! flock -n "$pidfile" true; }
export PYTHONPATH=$lab/lib PGPASSFILE=$top/home/.pgpass
as_service() { exec "$python" -s -m "$@"; }
start_it() {
  setsid "$python" -s -m lab.service "$host" "$address" "$address_lb1" "$pidfile" "$ledger" >>"$top/log/app.log" 2>&1 </dev/null &
}
end_it() { kill "-$1" "$(cat "$pidfile")"; }
