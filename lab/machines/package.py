"""The registration service as a Debian package: a good version, and a bad one that can't reach the database."""

from __future__ import annotations

import shutil
from pathlib import Path

import hisauto.errors
from lab.layout import PG_PORT
from lab.machines.command import run

NAME, GOOD, BAD = "his-registration", "1.0", "1.1"
CODE = Path(__file__).resolve().parents[1]
LIBRARY = f"usr/lib/{NAME}"

CONTROL = f"""\
Package: {NAME}
Version: {{version}}
Architecture: all
Maintainer: the lab hospital <root@localhost>
Depends: python3, python3-psycopg
Description: registration service of the lab hospital
"""
UNIT = f"""\
[Unit]
Description=Registration service of the lab hospital
After=network.target

[Service]
User=his
StateDirectory={NAME}
RuntimeDirectory={NAME}
Environment=PYTHONPATH=/{LIBRARY} PGPASSFILE=/etc/his/pgpass
EnvironmentFile=/opt/hospital/etc/lab.env
ExecStart=/usr/bin/python3 -s -m lab.service ${{host}} 0.0.0.0 ${{address_lb1}} \\
  /run/{NAME}/pid /var/lib/{NAME}/registrations.jsonl

[Install]
WantedBy=multi-user.target
"""
CONFIGURED = f"""\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart {NAME}
fi
"""


def file(folder: Path, version: str) -> Path:
    return folder / f"{NAME}_{version}_all.deb"


def make(folder: Path) -> None:
    """Both versions, in ``folder``. Raises RuntimeError."""
    shutil.rmtree(folder, ignore_errors=True)
    for version in (GOOD, BAD):
        tree = folder / version
        write(tree / "DEBIAN/control", CONTROL.format(version=version))
        write(tree / "DEBIAN/postinst", CONFIGURED, 0o755)
        write(tree / f"lib/systemd/system/{NAME}.service", UNIT)
        write(tree / LIBRARY / "hisauto/__init__.py", "")
        write(tree / LIBRARY / "hisauto/errors.py", Path(hisauto.errors.__file__).read_text())
        for path in CODE.glob("*.py"):
            text = path.read_text()
            if version == BAD and path.name == "service.py":
                text = text.replace("{PG_PORT}", str(PG_PORT + 1))
            write(tree / LIBRARY / "lab" / path.name, text)
        run("dpkg-deb", "--root-owner-group", "-Zxz", "-b", tree, file(folder, version))
        shutil.rmtree(tree)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """A file that everybody may read, in folders that everybody may enter, whatever the umask."""
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
    path.write_text(text)
    path.chmod(mode)
