#!/bin/bash
# repo start|stop|kill|status|index   - this host's package repository; 'index' makes known what lies in its pool
set -eu
[ "$(id -u)" = 0 ] || exec sudo -n "$0" "$@"

running() { systemctl is-active -q nginx; }
case ${1:-} in
  start) systemctl start nginx ;;
  stop) systemctl stop nginx ;;
  kill) systemctl kill -s KILL nginx 2>/dev/null || true ;;
  status) if running; then echo running; else echo stopped; exit 3; fi ;;
  index)
    cd /srv/apt
    apt-ftparchive packages pool >Packages.new
    mv Packages.new Packages ;;
  *) sed -n 2p "$0" >&2; exit 2 ;;
esac
