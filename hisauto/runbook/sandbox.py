"""The Jinja2 that runbooks get: data only, no clock, no chance, no work without bound, and three truths.

What differs from Jinja2: ``and``, ``or``, ``not`` and inline ``if`` take true, false or cannot-be-told instead of
Python's truthiness (``not null`` is not true); no test but ``defined`` answers for what is undefined, and ``int`` of
what is no number is no 0; ``a.b`` on data is its key and never a method; only ``{{ }}`` is special, so ``${#array}``
and ``{%`` are plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import BuiltinMethodType
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hisauto.runbook.filters import FAILURES, FILTERS, TESTS, shown, spend, weight
from hisauto.runbook.scope import Results

MAX_BITS = 4096
TEXT_METHODS = frozenset(
    {"endswith", "lower", "lstrip", "rstrip", "split", "splitlines", "startswith", "strip", "upper"}
)


class CannotTell(StrictUndefined):
    """The value of ``and``, ``or``, ``not`` or ``if`` over what isn't a truth. Any use of it fails with the reason."""

    __slots__ = ()


def _told(thunk: Callable[[], Any]) -> tuple[bool | None, str]:
    try:
        value = thunk()
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()
    except FAILURES as error:
        return None, str(error)
    return (value if isinstance(value, bool) else None), f"{shown(value)} is neither true nor false"


class _Generator(CodeGenerator):
    """Emits our own ``and``, ``or``, ``not``, ``if``; operands are thunks, so that an error in one can be weighed."""

    def _call(self, method: str, frame: Frame, *operands: nodes.Expr | None) -> None:
        self.write(f"environment.{method}(")
        for operand in operands:
            if operand is None:
                self.write("None, ")
            else:
                self.write("(lambda: ")
                self.visit(operand, frame)
                self.write("), ")
        self.write(")")

    def visit_And(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._call("both", frame, node.left, node.right)

    def visit_Or(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._call("either", frame, node.left, node.right)

    def visit_Not(self, node: nodes.UnaryExpr, frame: Frame) -> None:
        self._call("opposite", frame, node.node)

    def visit_CondExpr(self, node: nodes.CondExpr, frame: Frame) -> None:
        self._call("choose", frame, node.test, node.expr1, node.expr2)


class Sandbox(ImmutableSandboxedEnvironment):
    """One for the process; holds no state of an evaluation."""

    code_generator_class = _Generator
    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(
        self, block: tuple[str, str] = ("\0%", "%\0"), comment: tuple[str, str] = ("\0#", "#\0"), **options: Any
    ) -> None:
        super().__init__(
            block_start_string=block[0], block_end_string=block[1],
            comment_start_string=comment[0], comment_end_string=comment[1],
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, optimized=False, cache_size=0,
            **options,
        )  # fmt: skip
        self.globals.clear()
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute.startswith("_"):
            return self.unsafe_undefined(obj, attribute)
        if isinstance(obj, str) and attribute in TEXT_METHODS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        try:
            if isinstance(obj, Results) and isinstance(argument, str):
                return obj.lookup(argument)
            if isinstance(obj, Mapping) or (isinstance(obj, list | tuple | str) and type(argument) is int):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        return isinstance(obj, BuiltinMethodType) and isinstance(obj.__self__, str) and obj.__name__ in TEXT_METHODS

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for operand in (left, right):
            if isinstance(operand, Undefined):
                operand._fail_with_undefined_error()
        if operator == "%" and not isinstance(left, int | float):
            raise TypeError("% is for numbers")
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and not numbers:
            spend(weight(left) + weight(right))
        if operator == "*" and not numbers:
            sequence, times = (right, left) if isinstance(left, int) else (left, right)
            spend(weight(sequence) * max(times, 0) if isinstance(times, int) else 0)
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() + right.bit_length() if operator == "*" else left.bit_length() * right
            if bits > MAX_BITS:
                raise SecurityError("the number is too large")
        return super().call_binop(context, operator, left, right)

    def both(self, left: Callable[[], Any], right: Callable[[], Any]) -> Any:
        """False if either is; true if both are; else it cannot be told."""
        a, why = _told(left)
        if a is False:
            return False
        b, other = _told(right)
        if b is False:
            return False
        return True if a and b else CannotTell(why if a is None else other)

    def either(self, left: Callable[[], Any], right: Callable[[], Any]) -> Any:
        """True if either is; false if both are; else it cannot be told."""
        a, why = _told(left)
        if a is True:
            return True
        b, other = _told(right)
        if b is True:
            return True
        return False if a is False and b is False else CannotTell(why if a is None else other)

    def opposite(self, operand: Callable[[], Any]) -> Any:
        """What cannot be told stays so."""
        a, why = _told(operand)
        return CannotTell(why) if a is None else not a

    def choose(self, test: Callable[[], Any], then: Callable[[], Any], other: Callable[[], Any] | None) -> Any:
        """``then if test else other``."""
        a, why = _told(test)
        if a is None:
            return CannotTell(why)
        if a:
            return then()
        return other() if other is not None else CannotTell("the condition is false, and there is no else")
