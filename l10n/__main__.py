"""``python -m l10n``: bring the catalogs in step with the source, and list what still has to be translated."""

from __future__ import annotations

import sys

from hisauto.cli.language import ENGLISH, LANGUAGES
from l10n.catalog import path_of, updated

left = 0
for language in LANGUAGES:
    if language != ENGLISH:
        path = path_of(language)
        text, missing = updated(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        left += len(missing)
        for message in missing:
            print(f"{path}: not translated: {message}")
sys.exit(1 if left else 0)
