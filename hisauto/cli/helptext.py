"""The help of a command: its text taken apart into what is translated as a whole, and set for the terminal's width."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from unicodedata import east_asian_width

import click

from hisauto.cli.language import message, tr

KEPT = "\b"
"""A line of its own before a paragraph whose lines stay as they are; click's sign for it."""
HEADINGS = {"Options": message("Options:"), "Commands": message("Commands:")}
_PIECE = re.compile(r"[（“《]*(?:[^\s\u2e80-\uffef]+|[\u2e80-\uffef])[，。；：、）”》！？…]*|\s+")
"""What is not broken over two lines: a word, or a wide character, with the punctuation that clings to it."""


def blocks(text: str) -> Iterator[tuple[list[str], bool]]:
    """Its paragraphs: one line if it may be filled anew, else its lines as they stand."""
    lines: list[str] = []
    kept = False
    for line in [*text.split("\n"), ""]:
        if line.strip() and line.strip(" ") != KEPT:
            lines.append(line)
            continue
        if lines:
            yield (lines, True) if kept else ([" ".join(map(str.strip, lines))], False)
            lines = []
        kept = line.strip(" ") == KEPT


def units(text: str) -> Iterator[str]:
    """Each paragraph that is filled, and each line of one that isn't; but no commands to type."""
    for lines, _ in blocks(text):
        yield from (line.strip() for line in lines if not line.strip().startswith(("hisauto ", "source ")))


def summary(text: str) -> str:
    """The first sentence of a help text, translated."""
    first = next((lines[0] for lines, _ in blocks(text)), "")
    return re.split(r"(?<=。)|\.(?:\s|$)", tr(first))[0].rstrip("。")


def fill(text: str, width: int, first: str = "", then: str = "") -> list[str]:
    """Lines of at most ``width`` columns, indented by ``first`` and ``then``; a wide character takes two."""
    lines, indent = [""], first
    for piece in _PIECE.findall(text):
        if columns(indent + lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines[-1] = indent + lines[-1].rstrip()
            lines.append("")
            indent = then
        lines[-1] += piece if lines[-1] else piece.lstrip()
    lines[-1] = indent + lines[-1].rstrip()
    return lines


def columns(text: str) -> int:
    """How wide it is on a terminal."""
    # As rich.cells, whose import would take longer than the rest of the help.
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


class Formatter(click.HelpFormatter):
    """click's, in the user's language, with paragraphs that are kept wherever they stand."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{tr('Usage:')} " if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':{self.current_indent}}{tr(HEADINGS.get(heading, heading + ':'))}\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for n, (lines, kept) in enumerate(blocks(text)):
            self.write("\n" if n else "")
            for line in lines:
                told = [tr(line)] if kept else fill(tr(line), self.width - len(indent))
                self.write("".join(f"{indent}{part}\n" for part in told))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        listed, indent = list(rows), " " * self.current_indent
        column = min(max(len(term) for term, _ in listed), col_max) + col_spacing
        for term, text in listed:
            head = term if len(term) + col_spacing <= column else f"{term}\n{indent}{'':{column}}"
            for line in fill(_told(text), self.width - len(indent) - column):
                self.write(f"{indent}{head:{column}}{line}".rstrip() + "\n")
                head = ""


def _told(text: str) -> str:
    """An option's help and, in brackets, what click adds: the default, the range, that it is required."""
    said, bracket, extra = text.partition("  [")
    extras = "; ".join(tr(part) for part in extra.removesuffix("]").split("; "))
    return f"{tr(said)}  [{extras}]" if bracket else tr(text)


class Context(click.Context):
    formatter_class = Formatter


def speaking(command: click.Command) -> click.Command:
    """The command, with its help in the user's language."""
    command.context_class = Context
    return command
