#!/bin/bash
# haproxy-set BACKEND/SERVER [drain|ready|maint]   - set a server's state; without a state, print it and its sessions
set -eu
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
. "$top/etc/lab.env"

ask() {
  "$python" -c '
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.settimeout(3)
try:
    line.connect(sys.argv[1])
    line.sendall(sys.argv[2].encode() + b"\n")
    sys.stdout.write(b"".join(iter(lambda: line.recv(65536), b"")).decode())
except OSError as error:
    sys.exit(f"haproxy does not answer: {error}")' "${haproxy_socket:-$top/run/haproxy.sock}" "$1"
}
if [ "${1:-}" = --ask ]; then ask "$2"; exit; fi
server=${1:-}
case $server in */*) ;; *) sed -n 2p "$0" >&2; exit 2 ;; esac
case ${2:-} in
  '') state=$(ask 'show stat' | awk -F, -v b="${server%/*}" -v s="${server#*/}" '$1 == b && $2 == s { print $18, "sessions=" $5 }')
      [ -n "$state" ] || { echo "haproxy-set: no such server: $server" >&2; exit 1; }
      echo "$state" ;;
  drain | ready | maint)
      answer=$(ask "set server $server state $2")
      [ -z "${answer//[[:space:]]/}" ] || { echo "haproxy-set: $answer" >&2; exit 1; } ;;
  *) sed -n 2p "$0" >&2; exit 2 ;;
esac
