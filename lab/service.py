"""The registration service (门急诊挂号) of the lab: a page, a small API, and an honest health check.

``GET /`` · ``POST /api/registrations`` ``{patient, department}`` → 201 · ``GET /api/registrations/ID`` ·
``GET /health`` 200 only if the database answers through the proxy and can be written to · ``GET /live`` 200.
A connection per request: it recovers by itself as soon as the database does.
"""

from __future__ import annotations

import contextlib
import fcntl
import html
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

from lab.database import connect
from lab.layout import HTTP_PORT, PG_PORT
from lab.ledger import Ledger

SECONDS = 3.0
"""How long a request may wait for the database."""
HEARTBEAT = 1.0
MAX_BODY = 64 * 1024

PAGE = """<!doctype html><html lang="zh"><meta charset="utf-8"><title>门急诊挂号 Registration</title>
<h1>门急诊挂号 Outpatient registration</h1>
<form method="post" action="/">
<label>患者 Patient <input name="patient" required maxlength="80"></label>
<label>科室 Department <input name="department" required maxlength="80"></label>
<button>挂号 Register</button></form>
<p>{notice}</p>
<table><tr><th>号 No.<th>患者 Patient<th>科室 Department<th>时间 Time</tr>{rows}</table>
<p>{server}</p></html>
"""


class Bad(Exception):
    """The request is not one; the text says why."""


def text(data: Any, name: str) -> str:
    """One field of a request. Raises Bad."""
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= 80 or "\0" in value:
        raise Bad(f"{name} is needed, a text of 1 to 80 characters")
    return value.strip()


def fields(data: Any) -> tuple[str, str]:
    """Patient and department of a request. Raises Bad."""
    return text(data, "patient"), text(data, "department")


class Service(ThreadingHTTPServer):
    """Listens on the host's own address; knows the database only through the proxy."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, address: str, proxy: str, ledger: Ledger) -> None:
        self.name, self.ledger = name, ledger
        self.dsn = f"host={proxy} port={PG_PORT} user=his dbname=his application_name={name}"
        super().__init__((address, HTTP_PORT), Handler)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of one statement on a connection of its own. Raises psycopg.Error."""
        with connect(self.dsn, SECONDS) as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def note_replication(self) -> None:
        """Have the primary write down, every second, how it replicates: its standby keeps that when it dies."""
        while True:
            with contextlib.suppress(psycopg.Error):
                self.query("select note_replication()")
            time.sleep(HEARTBEAT)

    def register(self, patient: str, department: str) -> dict[str, Any]:
        """Write one registration, then put it on record. Raises psycopg.Error, OSError: it is not acknowledged then."""
        [row] = self.query(
            "insert into registrations(patient, department, received_by) values (%s, %s, %s) returning id, at",
            patient, department, self.name,
        )  # fmt: skip
        self.ledger.note(*row)
        return {"id": row[0], "patient": patient, "department": department, "at": row[1].isoformat()}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Service
    timeout = 10

    def send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status: int, data: dict[str, Any]) -> None:
        self.send(status, json.dumps(data, ensure_ascii=False).encode(), "application/json; charset=utf-8")

    def page(self, status: int = 200, notice: str = "") -> None:
        try:
            found = self.server.query("select id, patient, department, at from registrations order by id desc limit 20")
        except psycopg.Error:
            found, status, notice = [], 503, "数据库不可用 The database is not available"
        rows = "".join(
            f"<tr><td>{n}<td>{html.escape(who)}<td>{html.escape(where)}<td>{at:%H:%M:%S}" for n, who, where, at in found
        )
        text = PAGE.format(notice=html.escape(notice), rows=rows, server=html.escape(self.server.name))
        self.send(status, text.encode(), "text/html; charset=utf-8")

    def health(self) -> None:
        try:
            [(readonly,)] = self.server.query("select current_setting('transaction_read_only')")
        except psycopg.Error as error:
            self.send_json(503, {"database": str(error).strip()})
            return
        self.send_json(503 if readonly == "on" else 200, {"database": "read-only" if readonly == "on" else "writable"})

    def registration(self, number: str) -> None:
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            self.send_json(404, {"error": "no such registration"})
            return
        found = self.server.query("select id, patient, department, at from registrations where id = %s", int(number))
        if not found:
            self.send_json(404, {"error": "no such registration"})
            return
        n, patient, department, at = found[0]
        self.send_json(200, {"id": n, "patient": patient, "department": department, "at": at.isoformat()})

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        try:
            if path == "/":
                self.page()
            elif path == "/live":
                self.send_json(200, {"name": self.server.name})
            elif path == "/health":
                self.health()
            elif path.startswith("/api/registrations/"):
                self.registration(path.removeprefix("/api/registrations/"))
            else:
                self.send_json(404, {"error": "no such page"})
        except psycopg.Error as error:
            self.send_json(503, {"error": str(error).strip()})

    def do_POST(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        try:
            body = self.body()
            if path == "/api/registrations":
                self.send_json(201, self.server.register(*fields(json.loads(body))))
            elif path == "/":
                self.server.register(*fields(dict(urllib.parse.parse_qsl(body.decode()))))
                self.send(303, b"", "text/plain", Location="/")
            else:
                self.send_json(404, {"error": "no such page"})
        except (Bad, ValueError, RecursionError) as error:  # json nests no deeper than Python's stack
            self.send_json(400, {"error": str(error)})
        except psycopg.Error as error:
            self.send_json(503, {"error": str(error).strip()})

    def body(self) -> bytes:
        length = self.headers.get("Content-Length") or ""
        if not length.isdigit() or int(length) > MAX_BODY:
            raise Bad(f"a body of at most {MAX_BODY} bytes is needed, with its length")
        return self.rfile.read(int(length))

    def log_message(self, *_: object) -> None:
        """Nothing: the requests hold patients' names."""


def main(name: str, address: str, proxy: str, pidfile: str, ledger: str) -> None:
    """Serve until SIGTERM. The lock on ``pidfile`` lives as long as this process."""
    lock = os.open(pidfile, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("it runs already")
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with Service(name, address, proxy, Ledger(Path(ledger))) as service:
        threading.Thread(target=service.note_replication, daemon=True).start()
        service.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
