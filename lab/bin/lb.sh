#!/bin/bash
# lb start|stop|kill|status|reload|server BACKEND   - this host's HAProxy; 'server' prints name and address it really uses
set -eu
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
. "$top/etc/lab.env"
. "$top/bin/lb-here" # how this kind of host runs it: state, config, master, stopped, *_it

ask() { "$top/bin/haproxy-set" --ask "$1"; }
workers() { pgrep -d ' ' -P "$1" -x haproxy; }
until_true() { # SECONDS COMMAND…
  local i n=$1
  shift
  for ((i = 0; i < n * 50; i++)); do "$@" && return; sleep 0.02; done
  echo "lb: not so within $n s: $*" >&2
  exit 1
}
up() { ask "show info" >/dev/null 2>&1; }
replaced() { # MASTER OLD: it has workers, and none of the old ones
  local now
  now=$(workers "$1") && [ -z "$(comm -12 <(tr ' ' '\n' <<<"$now" | sort) <(tr ' ' '\n' <<<"$2" | sort))" ]
}

case ${1:-} in
  start)
    if ! master >/dev/null; then
      : >"$state"
      start_it
    fi
    until_true 5 up ;;
  stop)
    if pid=$(master); then stop_it "$pid"; until_true 5 stopped; fi ;;
  kill) kill_it; until_true 5 stopped ;;
  status) if up; then echo running; else echo stopped; exit 3; fi ;;
  reload) # ends when the new worker serves and the old one, with its sessions, is gone
    /usr/sbin/haproxy -c -q "${config[@]}"
    pid=$(master) || { echo "lb: HAProxy is not running" >&2; exit 1; }
    old=$(workers "$pid")
    ask 'show servers state' >"$state" # a reload would forget who is drained
    kill -USR2 "$pid"
    until_true 5 replaced "$pid" "$old" ;;
  server) ask "show servers state ${2:?which backend}" | awk '/^[0-9]+ / && NF > 18 { print $4, $5 ":" $19 }' ;;
  *) sed -n 2p "$0" >&2; exit 2 ;;
esac
