"""The way inside: run the builder as the lab's user, with a copy of the code where that user can read it.

Root's project may lie where nobody else can look (/root), and the lab's user is another one. Everything in the lab
folder is written by that user: root writes nothing into a folder that somebody else controls.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hisauto.errors
from lab.errors import LabError

HERE = Path(__file__).resolve().parent
UNPACK = """
import os, sys, tarfile
os.makedirs(sys.argv[1], exist_ok=True)
tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall(sys.argv[1])"""


def _python() -> str:
    """The interpreter without its virtual environment, which the lab's user may be unable to reach."""
    return str(Path(sys.executable).resolve())


def _as(user: pwd.struct_passwd) -> dict[str, Any]:
    """Popen's arguments to become ``user``, if that is another one."""
    home = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", **home}
    if user.pw_uid == os.geteuid():
        return {"env": env}
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return {"env": env, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups, "umask": 0o077}


def own_folder(folder: Path, user: pwd.struct_passwd) -> None:
    """Make the lab folder, private and the lab user's own; refuse somebody else's. Raises LabError."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if user.pw_uid != os.geteuid():
            os.chown(folder, user.pw_uid, user.pw_gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user.pw_uid or found.st_mode & 0o077:
        owner = f"uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}"
        raise LabError(
            f"{folder} should be a folder of {user.pw_name} that nobody else may enter, and is not ({owner})",
            hint=f"a lab of this site under another user? look at it, then remove it: rm -r {folder}",
        )


def _code(folder: Path) -> bytes:
    """A tar file of this package and what it imports; the database driver only if it isn't there yet."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        def keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
            member.uid = member.gid = 0
            return None if member.name.endswith(("__pycache__", ".pyi")) else member

        tar.add(HERE, "lab", filter=keep)
        tar.addfile(tarfile.TarInfo("hisauto/__init__.py"))
        tar.add(hisauto.errors.__file__, "hisauto/errors.py")
        stamp = f"psycopg-{importlib.metadata.version('psycopg')}-{sys.version_info[0]}.{sys.version_info[1]}.stamp"
        if not (folder / "lib" / stamp).exists():
            for name in ("psycopg", "psycopg_binary", "psycopg_binary.libs", "typing_extensions.py"):
                path = _site_packages() / name
                if path.exists():
                    tar.add(path, name, filter=keep)
            tar.addfile(tarfile.TarInfo(stamp))  # last: what stands before it is whole
    return buffer.getvalue()


def _site_packages() -> Path:
    spec = importlib.util.find_spec("psycopg")
    if spec is None or spec.origin is None:
        raise LabError("The lab needs psycopg", hint="pip install 'psycopg[binary]'")
    return Path(spec.origin).parent.parent


def install(folder: Path, user: pwd.struct_passwd) -> None:
    """Bring the code into ``folder/lib``. Raises LabError."""
    try:
        done = subprocess.run(
            [_python(), "-I", "-c", UNPACK, folder / "lib"],
            input=_code(folder), capture_output=True, cwd="/", check=False, **_as(user),
        )  # fmt: skip
    except PermissionError as error:
        raise LabError(
            f"Can't become {user.pw_name} or run {_python()} as that user: {error.strerror}",
            hint="root without CAP_SETUID: run as an ordinary user; a Python under /root: use the system's python3",
        ) from None
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip()[-500:]
        raise LabError(f"The lab's code can't be installed in {folder}: {why}")


def run(
    folder: Path, user: pwd.struct_passwd, order: str, options: dict[str, Any], progress: Callable[[str], None]
) -> dict[str, Any]:
    """Give the builder an order; its result. If we are interrupted it ends, with what it had begun. Raises LabError."""
    how = _as(user)
    how["env"]["PYTHONPATH"] = str(folder / "lib")
    argv = [_python(), "-s", "-m", "lab.build", str(folder), order, json.dumps({**options, "caller": os.getpid()})]
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
        start_new_session=True, **how,
    ) as builder:  # fmt: skip
        assert builder.stdout and builder.stderr
        try:
            return _listen(builder.stdout, builder.stderr, progress)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(builder.pid, signal.SIGKILL)
            raise


def _listen(out: Any, err: Any, progress: Callable[[str], None]) -> dict[str, Any]:
    for line in out:
        said = json.loads(line)
        if "progress" in said:
            progress(said["progress"])
        elif "done" in said:
            done: dict[str, Any] = said["done"]
            return done
        else:
            raise LabError(said["error"], hint=said["hint"])
    why = err.read().strip()[-800:] or "it was killed"
    raise LabError(f"The lab's builder ended without an answer: {why}", hint="run it again")
