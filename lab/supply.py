"""The power supply of a host: its verbs, and the socket on which ``lab.power`` gives them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from typing import Any, Literal

from lab import proc
from lab.layout import Lab


class Supply:
    """The verbs ``on power-cut hang thaw kill stop start state status`` of one host."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.dir, self.tool = lab.host(name), lab.hosts[name].tool
        self.state: Literal["on", "hung", "off"] = "off"

    # ---------------------------------------------------------------- what a kind of host has to do
    def power_on(self) -> None:
        """Boot: what starts at boot is proxy and application, never PostgreSQL.

        A primary that comes back by itself after a failover is a second primary. Raises RuntimeError.
        """
        raise NotImplementedError

    def power_off(self) -> None:
        """Exact: nothing runs any more, then the host is dark. Raises TimeoutError."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Nothing answers until ``thaw``. Raises TimeoutError."""
        raise NotImplementedError

    def thaw(self) -> None:
        raise NotImplementedError

    def use_tool(self, verb: str) -> subprocess.CompletedProcess[bytes]:
        """Run the host's own tool. Raises OSError, subprocess.SubprocessError."""
        raise NotImplementedError

    def processes(self) -> dict[int, str]:
        """``{pid: name}`` of what runs on the host."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What else is said of a host with every answer."""
        return {}

    def look(self) -> None:
        """Five times a second: collect what has ended."""
        proc.reap()

    # ---------------------------------------------------------------- the verbs
    def service(self) -> str:
        """``running`` or ``stopped`` as the host's own tool says, ``unknown`` if it can't be asked."""
        if self.state != "on":
            return "stopped" if self.state == "off" else "unknown"
        return {0: "running", 3: "stopped"}.get(self.use_tool("status").returncode, "unknown")

    def do(self, verb: str) -> dict[str, Any]:
        """Obey one verb and say how things stand. A verb that has nothing left to do is not an error."""
        state = self.state
        if verb == "on" and state == "off":
            self.power_on()
            self.state = "on"
        elif verb == "power-cut" and state != "off":
            self.power_off()
            self.state = "off"
        elif verb == "hang" and state == "on":
            self.freeze()
            self.state = "hung"
        elif verb == "thaw" and state == "hung":
            self.thaw()
            self.state = "on"
        elif verb in ("kill", "stop", "start"):
            if state != "on":
                raise RuntimeError(f"the host is {state}")
            done = self.use_tool(verb)
            if done.returncode != 0:
                raise RuntimeError(f"{self.tool} {verb}: {done.stderr.decode(errors='replace').strip()}")
        elif verb == "hang" and state == "off":
            raise RuntimeError("the host is off")
        answer: dict[str, Any] = {"host": self.name, "state": self.state, **self.facts()}
        if verb == "status":
            answer["service"] = self.service()
            answer["processes"] = self.processes()
        return answer

    def answer(self, line: socket.socket) -> None:
        line.settimeout(2)
        try:
            reply = self.do(line.recv(64).decode(errors="replace"))
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            reply = {"host": self.name, "state": self.state, "error": str(error)}
        with contextlib.suppress(OSError):  # who asked may have gone
            line.sendall(json.dumps(reply).encode())

    def serve(self) -> None:
        """Answer on the host's socket for ever."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.lab.folder / "sockets" / self.name))
            listener.listen(16)
            listener.settimeout(0.2)
            while True:
                self.look()
                try:
                    line, _ = listener.accept()
                except TimeoutError:
                    continue
                with line:
                    self.answer(line)
