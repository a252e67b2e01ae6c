"""What a string expression can come to: templates, in which a named mark stands for what is only known later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import product
from math import prod

MOST = 16
"""Ways that one text may turn out; with more, its conditions stay slots."""
SAME = frozenset({"clean", "str", "message"})
"""Functions whose first argument is what they return, as far as words go."""
NESTED = frozenset({
    "why", "whys", "e", "error", "words", "word", "what", "said", "note", "message", "doing", "bad", "tried", "others",
    "got", "state", "gone", "problem", "missing", "fate", "hint", "number_type", "expected", "EXPECTED", "wanted",
    "refused", "closed",
    "mistake",
})  # fmt: skip
"""Names of values that are messages themselves. Their slot is called ``why``, and what stands in it is translated."""
MARK = re.compile("\0(\\w*)\0")
Scope = ast.Module | ast.FunctionDef | ast.Lambda


def slot(node: ast.expr) -> str:
    """The mark of a value that is not known here, named after what it is read from."""
    names = [n.attr if isinstance(n, ast.Attribute) else n.id if isinstance(n, ast.Name) else str(n.value)
             for n in ast.walk(node) if isinstance(n, ast.Attribute | ast.Name)
             or (isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.isidentifier())]  # fmt: skip
    functions = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    found = [name.strip("_") for name in names if name not in functions and name not in ("join", "get", "self")]
    return "\0why\0" if NESTED & set(found) else f"\0{found[0] if found else 'value'}\0"


class Strings:
    """The string expressions of one file."""

    def __init__(self, tree: ast.Module) -> None:
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.used: set[ast.AST] = set()
        """Expressions that became part of another one's template."""
        self._assigned: dict[tuple[Scope, str], list[ast.expr | None]] = {}
        self._read: dict[tuple[Scope, str], list[ast.Name]] = {}
        for node in ast.walk(tree):
            self._note(node)

    def ways(self, node: ast.expr) -> list[str]:
        """Each text that it can come to; a mark alone: nothing is known of it."""
        found = list(dict.fromkeys(self._ways(node, frozenset())))
        return found if len(found) <= MOST else [slot(node)]

    def only_inside(self, node: ast.AST) -> bool:
        """Whether it is only ever read as a part of other texts: inside of one, or by a name that is."""
        if node in self.used:
            return True
        for key, values in self._assigned.items():
            if node in values:
                reads = self._read.get(key, [])
                return bool(reads) and all(name in self.used for name in reads)
        return False

    def _ways(self, node: ast.expr, seen: frozenset[str]) -> list[str]:
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                inner, found = parts, self._joined(parts, seen)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                inner, found = [value], self._ways(value, seen)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                inner, found = [left, right], self._joined([left, right], seen)
            case ast.IfExp(body=body, orelse=orelse):
                inner, found = [body, orelse], self._ways(body, seen) + self._ways(orelse, seen)
            case ast.BoolOp(op=ast.Or(), values=values):
                inner, found = values, [way for value in values for way in self._ways(value, seen)]
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in SAME:
                inner, found = [first], self._ways(first, seen)
            case ast.Subscript(value=ast.Dict(values=values)):
                inner, found = values, [way for value in values for way in self._ways(value, seen)]
            case ast.Name(id=name) if name not in seen:
                inner, found = [node], self._named(node, seen | {name})
            case _:
                return [slot(node)]
        if all(MARK.fullmatch(way) for way in found):
            return [slot(node)]
        self.used.update(inner)
        return found

    def _joined(self, nodes: list[ast.expr], seen: frozenset[str]) -> list[str]:
        """Every combination. Where they are too many, what has several ways is a slot, and a message of its own."""
        before = set(self.used)
        parts = [self._ways(node, seen) for node in nodes]
        if prod(map(len, parts)) > MOST:
            self.used = before
            parts = [part if len(part) == 1 else ["\0why\0"] for part in parts]
        return ["".join(chosen) for chosen in product(*parts)]

    def _named(self, node: ast.Name, seen: frozenset[str]) -> list[str]:
        values = self._assigned.get((self._scope(node), node.id)) or [None]
        return list(dict.fromkeys(way for v in values for way in (self._ways(v, seen) if v else [slot(node)])))

    def _scope(self, node: ast.AST) -> Scope:
        while not isinstance(node, ast.Module | ast.FunctionDef | ast.Lambda):
            node = self.parents[node]
        return node

    def _note(self, node: ast.AST) -> None:
        """Who gives a value to which name, and who reads it."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self._read.setdefault((self._scope(node), name), []).append(node)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._give(target, [value])
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                self._give(target, [value])
            case ast.For(target=target, iter=ast.Tuple(elts=values) | ast.List(elts=values)):
                self._give(target, values)
            case ast.For(target=target) | ast.comprehension(target=target) | ast.AugAssign(target=target):
                self._give(target, [None])
            case ast.withitem(optional_vars=ast.expr() as target):
                self._give(target, [None])
            case ast.arg(arg=name):
                self._assigned.setdefault((self._scope(node), name), []).append(None)

    def _give(self, target: ast.expr, values: Iterable[ast.expr | None]) -> None:
        for name, value in _pairs(target, values):
            self._assigned.setdefault((self._scope(target), name), []).append(value)


def _pairs(target: ast.expr, values: Iterable[ast.expr | None]) -> Iterator[tuple[str, ast.expr | None]]:
    """Names on the left with what they get, tuples taken apart."""
    for value in values:
        if isinstance(target, ast.Name):
            yield target.id, value
        elif isinstance(target, ast.Tuple | ast.List):
            inner: list[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
                inner = list(value.elts)
            for one, given in zip(target.elts, inner, strict=True):
                yield from _pairs(one, [given])
