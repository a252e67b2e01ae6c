"""The proxy's configuration. Where ``his_db`` points is a file of its own: a runbook writes it, nothing else does."""

from __future__ import annotations

from pathlib import Path

from lab.layout import HTTP_PORT, PG_PORT, Lab


def configuration(lab: Lab, address: str, socket: str, state: Path | str) -> str:
    """All of HAProxy's configuration but the backend ``his_db``. ``socket``: path and options of the control socket."""
    servers = "".join(f"  server {app} {lab.address(app)}:{HTTP_PORT} check\n" for app in lab.apps)
    return f"""\
global
  maxconn 400
  stats socket {socket} level admin
  server-state-file {state}
  # sessions to the old server are cut soon after the proxy is pointed elsewhere
  hard-stop-after 300ms

defaults
  timeout connect 1s
  timeout client 10m
  timeout server 10m
  retries 0

frontend his_db
  mode tcp
  bind {address}:{PG_PORT}
  default_backend his_db

frontend his
  mode http
  bind {address}:{HTTP_PORT}
  timeout client 15s
  default_backend his

backend his
  mode http
  balance roundrobin
  timeout server 10s
  retries 2
  option redispatch 1
  option httpchk GET /health
  http-check expect status 200
  load-server-state-from-file global
  default-server inter 1s fastinter 300ms downinter 300ms fall 2 rise 1
{servers}"""


def backend(name: str, address: str) -> str:
    """The backend ``his_db`` with its one server, as the role ``haproxy_backend`` writes it too."""
    return f"backend his_db\n  mode tcp\n  server {name} {address}:{PG_PORT}\n"
