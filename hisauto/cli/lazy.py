"""A group that lists its commands without importing them, and gives every failure its line and its exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click


class LazyGroup(click.Group):
    """``lazy``: name → (module, attribute, one line of help)."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        module, attribute, _ = self.lazy[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in self.lazy.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.lazy and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, self.lazy, 1)
            meant = f": did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no command '{name}'{meant}", ctx)
        return super().resolve_command(ctx, args)


class Root(LazyGroup):
    """The outermost group: whatever happens inside ends in one clear line and a documented exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        state: MutableMapping[str, Any] = {}
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # an ASCII terminal shows ?, and nothing breaks off
        try:
            given = list(sys.argv[1:] if args is None else args)
            code = super().main(given or ["--help"], prog_name, complete_var, standalone_mode=False, obj=state, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            _quiet()
            code = 141  # as a shell reports a process that SIGPIPE ended
        except Exception as error:
            from hisauto.cli.failure import report

            code = report(error, state.get("session"))
        finally:
            if "session" in state:
                state["session"].close()
        sys.exit(code if isinstance(code, int) else 0)


def _quiet() -> None:
    """Whoever read the output is gone: what is still buffered must not raise again at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
