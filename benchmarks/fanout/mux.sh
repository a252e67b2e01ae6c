#!/bin/sh
# OpenSSH with ControlMaster: mux.sh CONFIG COMMANDS HOST...   one connection a host, one channel a command
set -eu
config=$1 count=$2
shift 2
sockets=$(mktemp -d)
trap 'rm -rf "$sockets"' EXIT
export config count sockets
for host; do echo "$host"; done | xargs -P 50 -I{} sh -euc '
  host={} n=1
  ssh -F "$config" -o ControlMaster=auto -o ControlPath="$sockets/%h" -o ControlPersist=60 "$host" "echo ok"
  while [ $n -lt "$count" ]; do ssh -F "$config" -S "$sockets/%h" "$host" "echo ok"; n=$((n + 1)); done
  ssh -F "$config" -S "$sockets/%h" -O exit "$host" 2>/dev/null' >"$sockets/said"
[ "$(grep -c "^ok$" "$sockets/said")" = $((count * $#)) ]
