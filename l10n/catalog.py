"""The catalogs as files: gettext's PO, written so that a change of the source changes few lines of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from l10n.extract import library, messages

ROOT = Path(__file__).parents[1]
LOCALES = ROOT / "hisauto" / "cli" / "locale"
_SILENT = ("hisauto/testing/", "hisauto/store/migrations/", "hisauto/runbook/schema.py", "hisauto/actions/ansible.py",
           "hisauto/cli/lines.py")  # fmt: skip
"""Read by tests, by nobody, by editors, by the action that starts it, by grep."""
_LAB = ("build", "control", "errors", "layout", "making", "prereq", "proc", "rack")
"""Of the lab, what the command line shows. Its hosts, its faults and the demo speak English."""
_CLICK = ("click.core", "click.decorators", "click.exceptions", "click.formatting", "click.parser", "click.types")
_COMPOSED = (
    "Missing argument {param_hint}.", "Missing option {param_hint}.",
    "No such option {name}. Did you mean {possibility}?",
    "No such option {name}. (Did you mean one of: {possibilities}?)", "integer", "integer range", "float range",
)  # fmt: skip
"""What click puts together or names without gettext."""
_SYSTEM = tuple(map(os.strerror, (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOSPC, errno.EROFS,
    errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT,
)))  # fmt: skip
"""What the operating system says most often."""
_HEADER = """\
# Messages of hisauto. `make messages` keeps the English ones in step with the source; docs/glossary.md has the terms.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def sources() -> Iterator[Path]:
    """The files whose texts people get to read."""
    for path in sorted((ROOT / "hisauto").rglob("*.py")):
        if not str(path.relative_to(ROOT)).startswith(_SILENT):
            yield path
    yield from (ROOT / "lab" / f"{name}.py" for name in _LAB)


def extracted() -> Catalog:
    """Every message, with the files that it is from, in their order."""
    found = Catalog()
    for path in sources():
        for message in messages(path.read_text(encoding="utf-8")):
            found.add(message.text, locations=[(str(path.relative_to(ROOT)), 0)])
    for name in _CLICK:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None
        for message in library(Path(spec.origin).read_text(encoding="utf-8")):
            found.add(message.text, locations=[(name, 0)])
    for origin, texts in (("click", _COMPOSED), ("errno", _SYSTEM)):
        for text in texts:
            found.add(text, locations=[(origin, 0)])
    return found


def path_of(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / "hisauto.po"


def read(language: str) -> Catalog:
    """A language's catalog as it is kept; empty where there is none yet."""
    path = path_of(language)
    return read_po(BytesIO(path.read_bytes() if path.exists() else b""), locale=language)


def updated(language: str) -> tuple[bytes, list[str]]:
    """A language's file in step with the source, and the messages not translated yet. What is gone is taken out."""
    known, fresh = read(language), extracted()
    for message in fresh:
        old = known.get(message.id) if message.id else None
        message.string = old.string if old is not None else ""
    text = BytesIO()
    write_po(text, fresh, width=120, omit_header=True, include_lineno=False)
    missing = [str(message.id) for message in fresh if message.id and not message.string]
    return _HEADER.format(language=language).encode() + text.getvalue(), missing
