# HAProxy as Debian's package and systemd run it. Sourced by lb.
[ "$(id -u)" = 0 ] || exec sudo -n "$0" "$@"
state=/var/lib/haproxy/servers.state
config=(-f /etc/haproxy/haproxy.cfg -f /etc/haproxy/his_db.cfg)

master() {
  local pid
  pid=$(systemctl show -P MainPID haproxy) && [ "$pid" != 0 ] && echo "$pid"
}
stopped() { [ -z "$(pgrep -x haproxy)" ]; }
start_it() { systemctl start haproxy; }
stop_it() { systemctl stop haproxy; }
kill_it() { systemctl kill -s KILL haproxy 2>/dev/null || true; }
