#!/bin/bash
# The peer of database-failover: what a careful person would write over OpenSSH's ControlMaster. The same guards (when it
# begins, and again just before the first change), the same ways to fence with the same looks and the same holds, the
# same promotion, the same role through ansible-playbook, the same verification.
#
# It has no approval, no plan, no locks, no log, no rollback, and doesn't survive its own death.
# Environment: SITE, INVENTORY, KEY, KNOWN_HOSTS, LOGIN, PORT, PG_PORT, HTTP_PORT, TIMEOUT (s), POWER_db1, ADDRESS_<host>.
set -euo pipefail
control=$(mktemp -d)
options=(-F none -i "$KEY" -p "$PORT" -l "$LOGIN" -o ControlMaster=auto -o ControlPath="$control/%h" -o ControlPersist=60
  -o UserKnownHostsFile="$KNOWN_HOSTS" -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o BatchMode=yes
  -o IdentitiesOnly=yes -o ConnectTimeout="$TIMEOUT" -o LogLevel=ERROR)
finish() { for s in "$control"/*; do [ -S "$s" ] && ssh "${options[@]}" -O exit "${s##*/}" 2>/dev/null; done; rm -rf "$control"; }
trap finish EXIT

say() { echo "$(date +%T.%3N) $*"; }
stop() { echo "STOP: $*" >&2; exit 1; }
address() { local name=ADDRESS_$1; echo "${!name}"; }
on() { local host=$1; shift; ssh "${options[@]}" "$(address "$host")" "$@"; }
sql() { # HOST-TO-WORK-FROM HOST-TO-ASK QUERY
  on "$1" "PGCONNECT_TIMEOUT=$TIMEOUT timeout $TIMEOUT psql -XAtqw -h $(address "$2") -p $PG_PORT -U hisauto -d his -c \"$3\""
}
each() { # COMMAND HOST…: side by side; true if all say so
  local command=$1 host pids=() ok=0
  shift
  for host in "$@"; do "$command" "$host" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || ok=1; done
  return "$ok"
}
within() { # SECONDS COMMAND…: until it is so
  local end=$((SECONDS + $1))
  shift
  until "$@"; do ((SECONDS < end)) || return 1; sleep 0.15; done
}
holds() { # COMMAND…: now, and for a second
  local end
  "$@" || return 1
  end=$(($(date +%s%3N) + 1000))
  while (($(date +%s%3N) < end)); do sleep 0.15; "$@" || return 1; done
}

recovering() { sql "$1" "$1" 'select pg_is_in_recovery()' >"$control/$1.role" 2>/dev/null; }
discover() {
  each recovering db1 db2 || true # a dead primary can't answer
  [ "$(cat "$control/db2.role")" = t ] || stop "db2 is no standby"
  [ ! -s "$control/db1.role" ] || [ "$(cat "$control/db1.role")" = f ] || stop "two standbys"
}
silent() { # the primary, for this host
  local rc=0
  on "$1" "pg_isready -q -t 1 -h $(address db1) -p $PG_PORT" || rc=$?
  [ "$rc" = 1 ] || [ "$rc" = 2 ]
}
synchronous() { [ "$(sql db2 db2 'select synchronous from replication_seen order by at desc limit 1')" = t ]; }
replayed() { [ "$(sql db2 db2 'select pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()')" = t ]; }
room() { [ "$(on db2 'df --output=pcent . | tail -1 | tr -dc 0-9')" -lt 95 ]; }
guards() {
  discover
  within 5 each silent lb1 app1 app2 || stop "somebody gets an answer from the primary"
  synchronous || stop "replication was not synchronous"
  within 10 replayed || stop "the standby has not replayed what it received"
  room || stop "the standby's disk is full"
}
fenced() { [ "$(on db1 'pg status' 2>/dev/null)" = $'stopped\nfenced' ]; } # by its own word
off() { [ "$(eval "$POWER_db1 status")" = off ]; }
fence() {
  if fenced; then return; fi
  on db1 'pg fence' 2>/dev/null || true
  if within 2 fenced; then return; fi
  off || eval "$POWER_db1 off"
  within 15 off && holds off || stop "the old primary can't be fenced"
}
writer() { [ "$(sql "$1" "$1" 'select pg_is_in_recovery()' 2>/dev/null)" = f ]; }
no_second_writer() { if each writer db1 db2; then stop "two writers"; fi; }
pointed() { on lb1 'lb server his_db' | grep -qF "$(address db2)"; }
repoint() {
  pointed && return
  ANSIBLE_PIPELINING=True ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60 -o ControlPath=$control/%h" \
    ansible-playbook -i "$INVENTORY" -e backend=db2 -l lb1 "$SITE/bench.yml" >"$control/ansible.log" ||
    { cat "$control/ansible.log" >&2; stop "the role failed"; }
  within 20 pointed || stop "the proxy does not point at db2"
}
one_writer() { writer db2 && ! writer db1; }
registers() {
  [ "$(on "$1" "curl -s -o /dev/null -m 10 -w '%{http_code}' -H 'Content-Type: application/json' \
    -d '{\"patient\": \"canary\", \"department\": \"canary\"}' http://$(address "$1"):$HTTP_PORT/api/registrations")" = 201 ]
}
healthy() { [ "$(on "$1" "curl -s -o /dev/null -m 10 -w '%{http_code}' http://$(address "$1"):$HTTP_PORT/health")" = 200 ]; }
ledger() { on "$1" 'app ledger'; }

guards
say "guards hold"
guards
say "guards still hold"
fence
say "fenced"
no_second_writer
writer db2 || on db2 'pg promote'
within 60 writer db2 || stop "not promoted"
say "promoted"
repoint
say "repointed"
within 20 one_writer || stop "not exactly one writer"
within 30 each registers app1 app2 || stop "nobody can register"
within 30 each healthy app1 app2 || stop "the service is not healthy"
each ledger app1 app2 || stop "what is lost can't be told"
say "verified"
