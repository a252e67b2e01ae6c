"""What people get to read, found in the source: each text as a template, with numbered slots for what is put in.

English is the key, so no floor below the command line knows of languages. A text counts as a message

- when it is handed to ``tr`` or ``message``: so the command line marks single words;
- when it is prose, anywhere but in docstrings, log calls, SQL and patterns;
- when it is the help of a command, or the first line of an error's docstring, which is its default.

An f-string becomes one template for each way in which its conditions can turn out, so that a translator sees sentences.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from string import Formatter
from typing import TypeGuard

from hisauto import errors
from hisauto.cli.helptext import units
from l10n.strings import MARK, NESTED, Strings

MARKS = frozenset({"tr", "message", "say"})
"""``say`` is also what a floor below calls the function that it is given to turn its words."""
SILENT = frozenset({
    "compile", "text", "getLogger", "info", "debug", "warning", "exception", "execute", "AssertionError",
    "exec_driver_sql", "startswith", "endswith", "removeprefix", "removesuffix", "partition", "split", "replace",
    "strptime", "strftime", "basicConfig", "tagged", "json_schema", "fullmatch", "index",
})  # fmt: skip
"""Functions whose texts nobody reads, or only in a log."""
QUIET = frozenset({"returns", "RETURNS"})
"""Class attributes that describe a form to machines."""
ERRORS = frozenset(name for name, found in vars(errors).items() if isinstance(found, type))
_WORD = re.compile(r"[A-Za-z]{2,}")
_PROSE = re.compile(r"[A-Za-z'’)\0]{2,}[,:;]? \(?[A-Za-z'`\0{]")
_LETTERS = 4
"""So many at least stand in a template besides its slots; with fewer it would be found in any text."""
_NOT = re.compile(
    r"(?i:^(select|insert|update|delete|create|begin|set|pragma|exec|group|grant|revoke|backend|server|host=\0) )"
    r"|^(bold|dim) [a-z]+$|^hisauto (approve|reject|decide|show|watch|runs|node|audit verify)(?! shows)\b"
    r"|^--(incident|---)|^[#$/\\<|%\x1b@]|\$\(|&& |"
    r"^[a-z]\w*[ =](<|=|>)=? ?|^\w+/\w+;|^haproxy-set |^[A-Z ]{4,}$|\\[sdwb]|\.[*+]|\(\?"
    r"|^\0\w*\0 (whole|ready)$|%\(|\nsteps:|--break-glass --reason|^pg (start|lag|role|sync)\b"
    r"|^(chown|chmod) |\$folder|\| diff "
)
"""Beginnings and signs of SQL, styles, commands, options, patterns and frames."""


@dataclass(frozen=True)
class Message:
    """One text, and where it stands."""

    text: str
    line: int


def messages(source: str) -> Iterator[Message]:
    """All messages of one file; each text once."""
    seen = set()
    for found in _Finder(ast.parse(source)).found():
        if found.text not in seen:
            seen.add(found.text)
            yield found


def library(source: str) -> Iterator[Message]:
    """The messages that a library hands to gettext, with its named fields as slots."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="_"), args=[ast.Constant(value=str(text))]):
                texts = [text]
            case ast.Call(func=ast.Name(id="ngettext"), args=[ast.Constant(value=one), ast.Constant(value=many), _]):
                texts = [str(one), str(many)]
            case _:
                continue
        for text in texts:
            if "%(" in text or text.startswith("DeprecationWarning"):
                continue
            pieces = [
                literal + (f"\0{'why' if field in NESTED else field}\0" if field else "")
                for literal, field, *_ in Formatter().parse(text)
            ]
            yield Message(template("".join(pieces)), node.lineno)


def template(text: str) -> str:
    """With slots in braces, each with a name of its own; two with nothing between them are one."""
    names: list[str] = []

    def named(marks: re.Match[str]) -> str:
        found = MARK.findall(marks[0])
        name = "why" if "why" in found else found[0] or "value"
        names.append(name)
        return f"{{{name}{names.count(name) if names.count(name) > 1 else ''}}}"

    return re.sub(f"(?:{MARK.pattern})+", named, text.strip().replace("{", "{{").replace("}", "}}"))


class _Finder:
    def __init__(self, tree: ast.Module) -> None:
        self.tree, self.strings = tree, Strings(tree)
        self.parents = self.strings.parents

    def found(self) -> Iterator[Message]:
        roots = [(root, self.strings.ways(root)) for root in ast.walk(self.tree) if self.is_root(root)]
        for root, ways in roots:
            if _is_mark(self.parents[root]) or not self.strings.only_inside(root):
                yield from self.of(root, ways)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
                if isinstance(node, ast.FunctionDef) and any(map(_makes_command, node.decorator_list)):
                    yield from (Message(template(text), node.lineno) for text in units(doc))
                elif isinstance(node, ast.ClassDef) and any(ast.unparse(base) in ERRORS for base in node.bases):
                    yield Message(template(doc.splitlines()[0]), node.lineno)

    def is_root(self, node: ast.AST) -> TypeGuard[ast.expr]:
        """A whole string expression that somebody may read."""
        above = self.parents.get(node)
        if above is None or not isinstance(node, ast.expr):
            return False
        if _is_mark(above):
            return node is not above.func
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, str) or isinstance(above, ast.Expr | ast.JoinedStr):
                return False
        elif not isinstance(node, ast.JoinedStr | ast.BinOp | ast.IfExp):
            return False
        return not self.is_silent(node)

    def is_silent(self, node: ast.expr) -> bool:
        here: ast.AST = node
        while (above := self.parents.get(here)) is not None:
            match above:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in SILENT:
                    return here is not above.func
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]) if name in QUIET:
                    return True
                case ast.stmt():
                    return isinstance(above, ast.Assert)
            here = above
        return False

    def of(self, node: ast.expr, ways: list[str]) -> Iterator[Message]:
        marked = _is_mark(self.parents[node])
        for way in ways:
            if way.endswith("\n") and "\b\n" not in way:
                continue  # an example, a script, a page
            if "\b\n" in way:
                yield from (Message(template(text), node.lineno) for text in units(cleandoc(way)))
            elif (marked and _WORD.search(MARK.sub("", way))) or _is_prose(way):
                yield Message(template(way), node.lineno)


def _is_prose(text: str) -> bool:
    letters = sum(c.isalpha() for c in MARK.sub("", text))
    return letters >= _LETTERS and bool(_PROSE.search(text)) and not _NOT.search(text.strip())


def _is_mark(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS


def _makes_command(decorator: ast.expr) -> bool:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Attribute) and call.attr in ("command", "group")
