"""Files that are templates: Jinja2 with its statements, in the sandbox of the expressions and by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import extract_tb
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.runtime import LoopContext

from hisauto.errors import Invalid
from hisauto.runbook.expressions import joined
from hisauto.runbook.filters import FAILURES, as_text, refill, spend
from hisauto.runbook.sandbox import Sandbox

LOOP = frozenset({"first", "index", "index0", "last", "length", "revindex", "revindex0"})
"""What a ``{% for %}`` tells of itself."""
ALONE = (nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)


class _Files(Sandbox):
    """Statements and comments are Jinja2's own; a statement's line leaves no empty line behind, as in Ansible."""

    def __init__(self) -> None:
        super().__init__(block=("{%", "%}"), comment=("{#", "#}"), trim_blocks=True, finalize=_written)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in LOOP:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


def _written(value: Any) -> str:
    text = as_text(joined(value))
    spend(len(text))
    return text


_FILES = _Files()


def check_template(data: bytes, name: str) -> str:
    """The text of a template that can be read. Raises ``Invalid`` naming ``name`` and the line."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Invalid(f"{name}:{line}: not UTF-8; what isn't text is for copy") from None
    try:
        tree = _FILES.parse(text)
        _FILES.compile(tree)
    except TemplateSyntaxError as error:
        raise Invalid(f"{name}:{error.lineno}: {error.message}") from None
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise Invalid(f"{name}: it is nested too deep") from error
    for node in tree.find_all(ALONE):
        raise Invalid(f"{name}:{node.lineno}: a template stands alone: it can't take in other files")
    return text


def render_template(data: bytes, name: str, scope: Mapping[str, Any]) -> bytes:
    """A template's file, filled in. Raises ``Invalid`` naming the line, and what is undefined or can't be written."""
    template = _FILES.from_string(check_template(data, name))
    refill()
    try:
        return template.render(dict(scope)).encode()
    except FAILURES as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == "<template>"]
        raise Invalid(f"{name}:{lines[-1] if lines else 1}: {error}") from None
