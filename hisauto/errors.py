"""One error root.

HisautoError
├── UsageError      the user asked for something that can't be (exit 2)
├── NotFound        a runbook, host, run or gate that isn't there (exit 2)
├── Invalid         a document with mistakes, each with its place (exit 1)
├── Unreachable     a host did not answer, or not as itself
│   └── HostKeyMismatch
├── Refused         a rule said no: approval, signature, lock, version (exit 3)
│   └── BadSignature
├── Superseded      a newer epoch drives this run; stop at once, write nothing
└── Broken          the log or the database is not what it should be (exit 4)
    └── RecordAway  the database can't be reached, and may be later (exit 5)

The class docstring is the default message. Library errors are mapped at the boundary with ``raise … from``.
"""

from __future__ import annotations

from typing import Any


class HisautoError(Exception):
    """Something went wrong."""

    exit_code = 1

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        doc = (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(message or doc)
        self.hint = hint
        """What the user can do about it, if we know."""


class UsageError(HisautoError):
    """That can't be done as asked."""

    exit_code = 2


class NotFound(HisautoError):
    """There is no such thing."""

    exit_code = 2


class Invalid(HisautoError):
    """The document has mistakes."""

    exit_code = 1

    def __init__(self, message: str | None = None, problems: tuple[Any, ...] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems
        """``hisauto.model.problems.Problem``, in the order of the file. Untyped here: that is a floor up."""


class Unreachable(HisautoError):
    """The host can't be reached."""

    exit_code = 5


class HostKeyMismatch(Unreachable):
    """The host's key is not the one in known_hosts."""


class Refused(HisautoError):
    """A rule says no."""

    exit_code = 3


class BadSignature(Refused):
    """The signature does not hold."""


class Superseded(HisautoError):
    """A newer epoch drives this run."""


class Broken(HisautoError):
    """The record is not what it should be."""

    exit_code = 4


class RecordAway(Broken):
    """The database can't be used now."""

    exit_code = 5
