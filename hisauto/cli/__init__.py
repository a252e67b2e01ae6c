"""The command line. Nothing here imports more than click until a command is really run."""

from __future__ import annotations


def main() -> None:
    """The entry point ``hisauto``."""
    from hisauto.cli.root import cli

    cli(prog_name="hisauto")
