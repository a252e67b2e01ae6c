"""``python -m hisauto.actions.ansible FOLDER``: run the play that ``play.py`` wrote there.

A process of its own, held by a receipt on the node like any command on a host. ansible-runner runs Ansible below it, as
a plain subprocess: no terminal is needed. Its output is printed as it comes; then comes one line for the machine. All
of it is in the folder, which may hold secrets, and goes at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

RESULT = "HISAUTO-RESULT "
"""Begins the last line; JSON follows."""
LONGEST = 2000
"""Characters of an error that are kept."""
NOTHING = dict.fromkeys(("ok", "changed", "failed", "unreachable", "skipped"), 0)


class Job:
    """One run of ansible-playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.given: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        self.stopped = False
        self.errors: deque[str] = deque(maxlen=40)

    def stop(self, number: int, frame: object) -> None:
        """A signal: whoever sends it means Ansible, too, which is in the same group, and ends its workers by itself."""
        self.stopped = True

    def run(self) -> dict[str, Any]:
        """Run the play; raises what ansible-runner raises."""
        import ansible_runner  # takes an eighth of a second, in which a TERM has to be heard already

        (self.folder / "ansible.cfg").touch(mode=0o600)
        for name in [n for n in os.environ if n.startswith("ANSIBLE_") and "VAULT" not in n]:
            del os.environ[name]
        if self.stopped:
            return self.result(128 + signal.SIGTERM)  # told so before there was anybody else to tell
        with _pipe(self.show) as output, _pipe(self.keep) as errors, Path(os.devnull).open("rb") as nothing:
            _, broke, rc = ansible_runner.run_command(
                executable_cmd="ansible-playbook",
                cmdline_args=self.arguments(),
                runner_mode="subprocess",
                input_fd=nothing.fileno(),
                output_fd=output,
                error_fd=errors,
                private_data_dir=str(self.folder),
                host_cwd=str(self.folder),
                envvars=environment(self.given, self.folder),
                quiet=True,
                suppress_env_files=True,
                cancel_callback=lambda: self.stopped,  # without one it takes our signals for itself
            )
        self.errors.append(broke)
        return self.result(rc if rc >= 0 else 128 - rc)

    def arguments(self) -> list[str]:
        words = [word for source in self.given["inventory"] for word in ("-i", source)]
        if self.given["check"]:
            words += ["--check", "--diff"]
        return [*words, *self.given["arguments"]]

    def show(self, stream: IO[str]) -> None:
        """Ansible's output without the marks by which ansible-runner finds its events in it."""
        from ansible_runner.utils import OutputEventFilter

        def event(about: dict[str, Any]) -> None:
            if about.get("stdout"):
                print(about["stdout"], flush=True)

        output = OutputEventFilter(None, event, suppress_ansible_output=True)
        for line in stream:
            output.write(line)
        output.close()

    def keep(self, stream: IO[str]) -> None:
        for line in stream:
            self.errors.append(line)
            sys.stderr.write(line)
            sys.stderr.flush()

    def result(self, rc: int) -> dict[str, Any]:
        """What the events say. Broken off: begun, and not known how far it got."""
        events: dict[str, Any] = {}
        tasks: list[dict[str, str]] = []
        with contextlib.suppress(FileNotFoundError):  # it didn't get as far as a plugin
            for line in (self.folder / "events").read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # cut short
                    event = json.loads(line)
                    tasks += [event["task"]] if "task" in event else []
                    events |= event
        stats = events.get("stats")
        error = ""
        if self.stopped:
            error = "it was told to stop"
        elif stats is None:
            error = "".join(self.errors)[-LONGEST:].strip() or f"Ansible ended with {rc} before its recap"
        broken_off = self.stopped or ("begun" in events and stats is None)
        told = {"result": events["result"]} if "result" in events else {}
        return {"rc": rc, **(stats or NOTHING), "tasks": tasks, **told, "error": error, "broken_off": broken_off}


@contextlib.contextmanager
def _pipe(read: Callable[[IO[str]], None]) -> Iterator[int]:
    """The writing end of a pipe that a thread reads."""
    reading, writing = os.pipe()

    def reader() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as stream:
            read(stream)

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        os.close(writing)
        thread.join(1.0)  # not to its end: what a task left behind may hold the other side open


def environment(job: dict[str, Any], folder: Path) -> dict[str, str]:
    """Ansible's settings: nothing of the user's home, keys strictly checked, sockets inside the folder."""
    ssh = ["-F", "/dev/null", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", "StrictHostKeyChecking=yes"]
    if job["known_hosts"]:
        ssh += ["-o", f'UserKnownHostsFile="{job["known_hosts"]}"', "-o", "GlobalKnownHostsFile=/dev/null"]
    return {
        "LC_ALL": "C.UTF-8",  # Ansible refuses to work without UTF-8
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",  # its output is shown as it comes
        "HISAUTO_EVENTS": str(folder / "events"),
        **({"HISAUTO_RESULTS": "1"} if job["results"] else {}),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "home" / "tmp"),
        "ANSIBLE_ROLES_PATH": f"{job['files']}/roles",
        "ANSIBLE_COLLECTIONS_PATH": f"{job['files']}/collections:/usr/share/ansible/collections",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "hisauto_watch",
        "ANSIBLE_SSH_ARGS": shlex.join(ssh),
        # Relative to the working directory, which is the folder: a socket's path has to be short.
        "ANSIBLE_SSH_CONTROL_PATH": "cp/%%C",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": "1",
        "ANSIBLE_TIMEOUT": "10",
        "ANSIBLE_NO_TARGET_SYSLOG": "True",  # arguments may hold secrets
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_FORCE_COLOR": "False",
    }


def close_connections(folder: Path) -> None:
    """Ask each ssh master to go: it would outlive its socket's folder."""
    for socket in sorted((folder / "cp").glob("*")):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["ssh", "-F", "/dev/null", "-o", f"ControlPath=cp/{socket.name}", "-O", "exit", "-"],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=5, check=False,
            )  # fmt: skip


def main(folder: Path) -> int:
    """Exit code: Ansible's own."""
    os.umask(0o077)
    job = Job(folder)
    signal.signal(signal.SIGTERM, job.stop)
    signal.signal(signal.SIGINT, job.stop)
    try:
        result = job.run()
    except Exception as e:
        result = {**job.result(1), "error": f"ansible-runner: {e}"[:LONGEST]}
    finally:
        close_connections(folder)
        shutil.rmtree(folder, ignore_errors=True)
    print(RESULT + json.dumps(result), flush=True)
    return int(result["rc"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
