#!/bin/bash
# app start|stop|kill|restart|status|ledger   - this host's registration service; 'ledger': what was acknowledged and is lost
set -eu
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
. "$top/etc/lab.env"
pidfile=$top/run/app.pid ledger=$top/log/registrations.jsonl

# the service holds a lock on its pid file as long as it lives: no stale pid is ever believed
running() { [ -e "$pidfile" ] && ! flock -n "$pidfile" true; }
start() {
  local i
  running && return
  PYTHONPATH=$lab/lib PGPASSFILE=$top/home/.pgpass setsid "$python" -s -m lab.service "$host" "$address" "$address_lb1" \
    "$pidfile" "$ledger" >>"$top/log/app.log" 2>&1 </dev/null &
  for ((i = 0; i < 500; i++)); do
    curl -s -o /dev/null -m 2 "http://$address:$http_port/live" && return
    sleep 0.02
  done
  echo "app: does not answer; see $top/log/app.log" >&2
  exit 1
}
end() {
  local i
  running || return 0
  kill "-$1" "$(cat "$pidfile")"
  for ((i = 0; i < 500; i++)); do running || return 0; sleep 0.02; done
  echo "app: does not end" >&2
  exit 1
}
case ${1:-} in
  start) start ;;
  stop) end TERM ;;
  kill) end KILL ;;
  restart) end TERM; start ;;
  status) if running; then echo running; else echo stopped; exit 3; fi ;;
  ledger) PYTHONPATH=$lab/lib PGPASSFILE=$top/home/.pgpass exec "$python" -s -m lab.ledger "$ledger" "$address_lb1" ;;
  *) sed -n 2p "$0" >&2; exit 2 ;;
esac
