"""A group that lists its commands without importing them, and gives every failure its line and its exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from hisauto.cli.helptext import Context, speaking, summary
from hisauto.cli.language import choose, tr, use

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Group(click.Group):
    """Its help, and that of its commands, is in the user's language."""

    context_class = Context

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        return speaking(command) if command is not None else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.write_commands(formatter, {name: summary(command.help or "") for name, command in self.commands.items()})

    def write_commands(self, formatter: click.HelpFormatter, lines: Mapping[str, str]) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(lines.items()))


class LazyGroup(Group):
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
        return speaking(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.write_commands(formatter, {name: line for name, (_, _, line) in self.lazy.items()})

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        found = [(name, line) for name, (_, _, line) in self.lazy.items() if name.startswith(incomplete)]
        items = [CompletionItem(name, help=tr(line)) for name, line in found]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.lazy and not name.startswith("-") and not ctx.resilient_parsing:
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
        if "_HISAUTO_COMPLETE" in os.environ:
            import hisauto.cli.completing  # noqa: F401 — what bash is answered by
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # an ASCII terminal shows ?, and nothing breaks off
        try:
            given = list(sys.argv[1:] if args is None else args)
            use(choose(given, os.environ))
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
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
