"""The language of what people read. What is on record, in JSON and in the node's log is English in every language."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hisauto.cli.translation import Catalog

LANGUAGES = ("zh", "en")
ENGLISH = "en"
_NO_LANGUAGE = ("C", "POSIX")
"""Locales for programs that read each other. People get English."""
_SAMPLE = "中文，（）：；"
"""What a terminal has to be able to show."""


class _Choice:
    """Of this process: one command line speaks one language."""

    language = ENGLISH
    decided = False
    catalog: Catalog | None = None


def choose(argv: Sequence[str], env: Mapping[str, str]) -> str | None:
    """By ``--lang``, else by the locale; None: neither names a language that we have.

    Read before the options are, since the help and the mistakes in them have a language, too.
    """
    asked = None
    for word, after in zip(argv, [*argv[1:], ""], strict=False):
        if word == "--":
            break
        if word == "--lang" or word.startswith("--lang="):
            asked = after if word == "--lang" else word.partition("=")[2]
    if asked is not None:
        return asked if asked in LANGUAGES else None
    locale = next((env[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), "")
    name = locale.partition(".")[0].partition("@")[0]
    name = ENGLISH if name in _NO_LANGUAGE else name.partition("_")[0].partition("-")[0].lower()
    return name if name in LANGUAGES else None


def use(language: str | None) -> None:
    """Speak it, as far as stdout and stderr can show it; None: English, until the site says more."""
    _Choice.decided = language is not None
    _Choice.language = language if language is not None and _can_show(_SAMPLE) else ENGLISH
    _Choice.catalog = None


def use_sites(language: str) -> None:
    """Speak the site's language, where nobody asked for another."""
    if not _Choice.decided:
        use(language)


def language() -> str:
    return _Choice.language


def tr(text: str) -> str:
    """A message in the language of whoever reads it; what the catalog doesn't know stays as it is."""
    if _Choice.language == ENGLISH or not text:
        return text
    if _Choice.catalog is None:
        from hisauto.cli.translation import read

        _Choice.catalog = read(_Choice.language)
    return _Choice.catalog.translate(text)


def message(text: str) -> str:
    """Marks a text for the catalog; it is translated where it is shown."""
    return text


def _can_show(text: str) -> bool:
    for stream in (sys.stdout, sys.stderr):
        try:
            text.encode(getattr(stream, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
    return True
