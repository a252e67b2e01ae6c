"""libssh2 and one persistent shell a host, in threads: ``libssh2.py FARM.json COMMANDS HOST...``

The floor of what a client can do here: no receipts, no time-outs, no errors kept apart. Runs in the peer's environment.
"""

import base64
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ssh2.session import Session

farm = json.loads(Path(sys.argv[1]).read_text())
count = int(sys.argv[2])
known = base64.b64decode(farm["host_key"])


def work(host: str) -> None:
    sock = socket.create_connection((host, farm["port"]))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    session = Session()
    session.set_timeout(60_000)
    session.handshake(sock)
    assert session.hostkey()[0] == known, host
    session.userauth_publickey_fromfile(farm["user"], farm["key"])
    channel = session.open_session()
    channel.execute("exec sh -s")
    came = b""
    for n in range(count):
        mark = b"end-%d " % n
        channel.write(b"sh -c 'echo ok' </dev/null; echo %b$?\n" % mark)
        while not (mark in came and came.endswith(b"\n")):
            came += channel.read(65536)[1]
        assert came == b"ok\n%b0\n" % mark, came
        came = b""
    channel.close()
    session.disconnect()
    sock.close()


with ThreadPoolExecutor(50) as pool:
    list(pool.map(work, sys.argv[3:]))
