# HAProxy on a host that is a process tree. Sourced by lb.
run=$top/run state=$top/run/servers.state
config=(-f "$top/etc/haproxy.cfg" -f "$top/etc/his_db.cfg")

master() { # the pid file is only believed while that process has it as an argument
  local pid
  pid=$(cat "$run/haproxy.pid" 2>/dev/null) && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$run/haproxy.pid" &&
    echo "$pid"
}
stopped() { [ -z "$(pgrep -f "haproxy.*$run/haproxy.pid")" ]; }
start_it() {
  rm -f "$run/haproxy.sock"
  setsid /usr/sbin/haproxy -W -p "$run/haproxy.pid" "${config[@]}" >>"$top/log/haproxy.log" 2>&1 </dev/null &
}
stop_it() { kill -TERM "$1"; }
kill_it() { pkill -KILL -f "haproxy.*$run/haproxy.pid" || true; }
