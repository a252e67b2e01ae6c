"""A runbook's content in one number: the same name and version always mean the same content."""

from __future__ import annotations

import hashlib

import rfc8785

from hisauto.runbook.documents import Runbook


def content_digest(runbook: Runbook) -> str:
    """SHA-256 (hex) over the canonical JSON (RFC 8785) of what the author said.

    Comments, order of words and other spellings of the same value don't count, nor does a default that is spelt out: so
    a later hisauto that knows more words gives the same digest. (A plan's digest covers the defaults, too.)
    """
    said = runbook.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()
