"""``python -m hisauto.actions.ansible FOLDER``: run the play that ``role.py`` wrote there.

A process of its own, held by a receipt on the node like any command on a host. It prints Ansible's output as it comes
and then one line for the machine. The folder goes at the end: it may hold secrets.
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
from pathlib import Path
from typing import Any

RESULT = "HISAUTO-RESULT "
"""Begins the last line; JSON follows."""
ENDS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
LONGEST = 2000
"""Characters of a task's message that are kept."""
POLL = 0.2
"""Seconds between two looks at whether it is to stop."""


class Watch:
    """Collects what the events say."""

    def __init__(self) -> None:
        self.stopped = False
        self.begun = False
        self.tasks: list[dict[str, str]] = []
        self.stats: dict[str, int] | None = None
        self.other: list[str] = []

    def stop(self, number: int, frame: object) -> None:
        self.stopped = True

    def event(self, event: dict[str, Any]) -> bool:
        """Print it and keep its meaning. False: ansible-runner is not to write it to a file."""
        kind, data, text = event.get("event", ""), event.get("event_data", {}), event.get("stdout", "")
        if text:
            print(text, flush=True)
        self.begun = self.begun or kind == "playbook_on_task_start"
        if kind in ENDS:
            self.tasks.append(_task(ENDS[kind], data, text))
        elif kind == "playbook_on_stats":
            self.stats = {
                ours: sum(data.get(theirs, {}).values())
                for ours, theirs in (
                    ("ok", "ok"),
                    ("changed", "changed"),
                    ("failed", "failures"),
                    ("unreachable", "dark"),
                    ("skipped", "skipped"),
                )
            }
        elif text and kind in ("verbose", "error", "warning", ""):
            self.other.append(text)
        return False

    def result(self, rc: int) -> dict[str, Any]:
        stats = self.stats or dict.fromkeys(("ok", "changed", "failed", "unreachable", "skipped"), 0)
        error = ""
        if self.stopped:
            error = "it was told to stop"
        elif self.stats is None:
            error = "\n".join(self.other)[-LONGEST:].strip() or f"Ansible ended with {rc} before its recap"
        broken_off = self.stopped or (self.begun and self.stats is None)
        return {"rc": rc, **stats, "tasks": self.tasks, "error": error, "broken_off": broken_off}


def _task(state: str, data: dict[str, Any], shown: str) -> dict[str, str]:
    result = data.get("res", {})
    if state == "ok" and "censored" in result:  # no_log: only what is shown says it, and for a loop nothing does
        state = next((word for word in ("ok", "changed") if shown.startswith(f"{word}:")), "hidden")
    elif state == "ok" and result.get("changed"):
        state = "changed"
    if state == "failed" and data.get("ignore_errors"):
        state = "ignored"
    said = ""
    if state in ("failed", "ignored", "unreachable"):
        said = " ".join(str(result[key]) for key in ("msg", "stderr") if result.get(key))
    return {"name": str(data.get("task", "")), "state": state, "message": said[:LONGEST]}


def environment(job: dict[str, Any], folder: Path) -> dict[str, str]:
    """Ansible's settings: nothing of the user's home, keys strictly checked, sockets inside the folder."""
    ssh = ["-F", "/dev/null", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", "StrictHostKeyChecking=yes"]
    if job["known_hosts"]:
        ssh += ["-o", f'UserKnownHostsFile="{job["known_hosts"]}"', "-o", "GlobalKnownHostsFile=/dev/null"]
    return {
        "LC_ALL": "C.UTF-8",  # Ansible refuses to work without UTF-8
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "home" / "tmp"),
        "ANSIBLE_ROLES_PATH": f"{job['files']}/roles",
        "ANSIBLE_COLLECTIONS_PATH": f"{job['files']}/collections:/usr/share/ansible/collections",
        "ANSIBLE_SSH_ARGS": shlex.join(ssh),
        # Relative to the working directory, which is the folder: a socket's path has to be short.
        "ANSIBLE_SSH_CONTROL_PATH": "cp/%%C",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": "1",
        "ANSIBLE_TIMEOUT": "10",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_FORCE_COLOR": "False",
    }


def run(folder: Path, watch: Watch) -> dict[str, Any]:
    """Run the play; raises what ansible-runner raises."""
    import ansible_runner  # takes an eighth of a second, in which a TERM has to be heard already

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    for name in [n for n in os.environ if n.startswith("ANSIBLE_") and "VAULT" not in n]:
        del os.environ[name]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    (folder / "ansible.cfg").touch(mode=0o600)
    done = ansible_runner.run(
        private_data_dir=str(folder),
        project_dir=str(folder),
        playbook=str(folder / "play.yml"),
        inventory=job["inventory"],
        envvars=environment(job, folder),
        settings={"pexpect_timeout": POLL},
        cmdline="--check --diff" if job["check"] else None,
        quiet=True,
        suppress_env_files=True,
        event_handler=watch.event,
        cancel_callback=lambda: watch.stopped,
    )
    return watch.result(int(done.rc))


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
    watch = Watch()
    signal.signal(signal.SIGTERM, watch.stop)
    signal.signal(signal.SIGINT, watch.stop)
    try:
        result = run(folder, watch)
    except Exception as e:
        result = {**watch.result(1), "error": f"ansible-runner: {e}"[:LONGEST]}
    finally:
        close_connections(folder)
        shutil.rmtree(folder, ignore_errors=True)
    print(RESULT + json.dumps(result), flush=True)
    return int(result["rc"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
