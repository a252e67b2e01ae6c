#!/bin/bash
# app start|stop|kill|restart|status|ledger   - this host's registration service; 'ledger': what was acknowledged and is lost
set -eu
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
. "$top/etc/lab.env"
. "$top/bin/app-here" # how this kind of host runs it: ledger, running, start_it, end_it SIGNAL, as_service

start() {
  local end=$((SECONDS + 20))
  running && return
  start_it
  while [ "$SECONDS" -lt "$end" ]; do
    curl -s -o /dev/null -m 2 "http://$address:$http_port/live" && return
    sleep 0.02
  done
  echo "app: does not answer" >&2
  exit 1
}
end() {
  local end=$((SECONDS + 20))
  running || return 0
  end_it "$1"
  while [ "$SECONDS" -lt "$end" ]; do running || return 0; sleep 0.02; done
  echo "app: does not end" >&2
  exit 1
}
case ${1:-} in
  start) start ;;
  stop) end TERM ;;
  kill) end KILL ;;
  restart) end TERM; start ;;
  status) if running; then echo running; else echo stopped; exit 3; fi ;;
  ledger) as_service lab.ledger "$ledger" "$address_lb1" ;;
  *) sed -n 2p "$0" >&2; exit 2 ;;
esac
