"""Expressions and templates: compiled once, evaluated in a sandbox, and their results never evaluated again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from jinja2 import Template, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.parser import Parser

from hisauto.errors import Invalid
from hisauto.runbook.filters import FAILURES, as_text, plain, refill, shown
from hisauto.runbook.sandbox import Sandbox
from hisauto.runbook.scope import Hosts, Results

MAX_EXPRESSION = 8192
Reference = tuple[str | int, ...]
"""A name and what is taken from it: ``('row', 'writer')``."""

_SANDBOX = Sandbox()


class Truth(StrEnum):
    """Three truths: what cannot be told is neither of the others."""

    true = "true"
    false = "false"
    unknown = "unknown"


@dataclass(frozen=True)
class Answer:
    """What an expression came to, and why: for false and unknown, the values behind it."""

    truth: Truth
    why: str = ""


@dataclass(frozen=True)
class _Compiled:
    text: str
    run: TemplateExpression
    references: tuple[Reference, ...]

    def value(self, scope: Mapping[str, Any]) -> Any:
        refill()
        return self.run(dict(scope))


def evaluate(expression: str, scope: Mapping[str, Any]) -> Answer:
    """True, false, or cannot be told: for null, undefined, text, numbers, and whatever goes wrong.

    Raises ``Invalid`` only when the expression can't be compiled, which a checked runbook's always can.
    """
    compiled = _expression(expression)
    try:
        value = compiled.value(scope)
        if isinstance(value, bool):
            return Answer(Truth.true) if value else Answer(Truth.false, _values(compiled, scope))
        return Answer(Truth.unknown, f"{shown(value)} is neither true nor false")
    except UndefinedError as error:
        return Answer(Truth.unknown, _missing(compiled, scope) or str(error))
    except FAILURES as error:
        return Answer(Truth.unknown, "; ".join(filter(None, (str(error), _values(compiled, scope)))))


def render(template: str, scope: Mapping[str, Any]) -> str:
    """Text with its ``{{ }}`` filled in. Raises ``Invalid`` naming what is undefined or has no way to be written."""
    return "".join(
        part if isinstance(part, str) else _guarded(part, scope, lambda v: as_text(joined(v)))
        for part in _template(template)
    )


def render_value(value: Any, scope: Mapping[str, Any]) -> Any:
    """Render every text in nested JSON. A text that is exactly one ``{{ }}`` keeps its value's type.

    Host names are the exception: they are text, joined by commas, however many they are (``| list`` for a list).
    """
    if isinstance(value, str):
        parts = _template(value)
        if len(parts) == 1 and isinstance(parts[0], _Compiled):
            return _guarded(parts[0], scope, joined)
        return render(value, scope)
    if isinstance(value, Mapping):
        return {key: render_value(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_value(item, scope) for item in value]
    return value


def names(expression: str) -> set[str]:
    """The root names an expression uses. Raises ``Invalid``."""
    return {str(reference[0]) for reference in _expression(expression).references}


def references(text: str, *, template: bool = False) -> frozenset[Reference]:
    """Every name with what is taken from it, of an expression or of a template's. Raises ``Invalid``."""
    compiled = [p for p in _template(text) if isinstance(p, _Compiled)] if template else [_expression(text)]
    return frozenset(reference for part in compiled for reference in part.references)


def joined(value: Any) -> Any:
    return str(value) if isinstance(value, Hosts) else plain(value)


def _guarded(compiled: _Compiled, scope: Mapping[str, Any], convert: Any) -> Any:
    try:
        return convert(compiled.value(scope))
    except UndefinedError as error:
        raise Invalid(f"{compiled.text}: {_missing(compiled, scope) or error}") from None
    except FAILURES as error:
        raise Invalid(f"{compiled.text}: {error}") from None


@lru_cache(4096)
def _expression(text: str) -> _Compiled:
    if len(text) > MAX_EXPRESSION:
        raise Invalid(f"the expression is longer than {MAX_EXPRESSION} characters")
    try:
        parser = Parser(_SANDBOX, text, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError(f"it ends before '{parser.stream.current}'", parser.stream.current.lineno)
        return _compile(tree, text)
    except (TemplateSyntaxError, *_COMPILER_FAILURES) as error:
        raise _invalid("expression", text, error) from None


@lru_cache(4096)
def _template(text: str) -> tuple[str | _Compiled, ...]:
    if "{{" not in text:
        return (text,)
    try:
        parts: list[str | _Compiled] = []
        for output in _SANDBOX.parse(text).body:
            assert isinstance(output, nodes.Output)  # statements can't be written: their braces are control characters
            for node in output.nodes:
                if isinstance(node, nodes.TemplateData):
                    parts.append(node.data)
                else:
                    parts.append(_compile(node, "{{ … }}" if len(text) > 60 else text))
        return tuple(parts)
    except (TemplateSyntaxError, *_COMPILER_FAILURES) as error:
        raise _invalid("template", text, error) from None


_COMPILER_FAILURES = (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError)


def _invalid(what: str, text: str, error: Exception) -> Invalid:
    if isinstance(error, TemplateSyntaxError):
        said = (error.message or "it can't be read").rstrip(".")
        for jargon, word in (
            ("'end of template'", "end"),
            ("end of template", "end"),
            ("end of print statement", "}}"),
        ):
            said = said.replace(jargon, word)
        hint = "an expression stands without {{ }}" if what == "expression" and "{{" in text else None
        return Invalid(f"not a valid {what}: {said}", hint=hint)
    if isinstance(error, RecursionError | MemoryError | SyntaxError):
        return Invalid(f"not a valid {what}: it is nested too deep")
    return Invalid(f"not a valid {what}: a number in it is too large")


def _compile(tree: nodes.Expr, text: str) -> _Compiled:
    tree.set_environment(_SANDBOX)
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)]
    template = Template.from_code(
        _SANDBOX, _SANDBOX.compile(nodes.Template(body, lineno=1)), _SANDBOX.make_globals(None), None
    )
    return _Compiled(text, TemplateExpression(template, undefined_to_none=False), tuple(sorted(_walk(tree), key=str)))


def _walk(node: nodes.Node) -> set[Reference]:
    """References under a node, the longest of each chain only."""
    chain = _chain(node)
    if chain is not None:
        return {chain}
    return {found for child in node.iter_child_nodes() for found in _walk(child)}


def _chain(node: nodes.Node) -> Reference | None:
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr) and (head := _chain(node.node)) is not None:
        return (*head, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str | int):
        head = _chain(node.node)
        return (*head, node.arg.value) if head is not None else None
    return None


def _written(reference: Reference) -> str:
    text = str(reference[0])
    for part in reference[1:]:
        text += f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{part!r}]"
    return text


def _missing(compiled: _Compiled, scope: Mapping[str, Any]) -> str:
    """The first reference that leads nowhere, in the author's words."""
    for reference in compiled.references:
        value: Any = scope
        for depth, part in enumerate(reference):
            if isinstance(value, Results):
                try:
                    value = value.lookup(str(part))
                    continue
                except LookupError as error:
                    return f"{_written(reference[:depth])} {error.args[0]}"
            if isinstance(value, str) and isinstance(part, str):
                break  # one of its methods
            try:
                value = value[part]
            except (LookupError, TypeError):
                if value is None:
                    return f"{_written(reference[:depth])} is null"
                return f"{_written(reference[: depth + 1])} is undefined"
    return ""


def _values(compiled: _Compiled, scope: Mapping[str, Any]) -> str:
    """What the references stand for, for the reader of a no."""
    told = []
    for reference in compiled.references:
        value: Any = scope
        for part in reference:
            value = _SANDBOX.getitem(value, part)
            if not isinstance(value, str | int | float | bool | None | Mapping | list | tuple | Results):
                break
        else:
            if not isinstance(value, Mapping | Results):
                told.append(f"{_written(reference)} is {shown(value)}")
    return ", ".join(told)
