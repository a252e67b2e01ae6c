"""The README's picture: the screen of a real run, drawn from its recording.

``python -m tests.cli.picture record SITE RUN`` keeps a run of a lab as it stands now; ``draw`` makes the picture anew.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from hisauto.cli.screen import screen
from hisauto.cli.snapshot import Snapshot
from tests.cli.recording import dump, load

RECORDED = Path(__file__).with_name("failover-gate.json")
PICTURE = Path(__file__).parents[2] / "docs" / "img" / "run.svg"


def svg(snapshot: Snapshot) -> str:
    """The picture; its fonts are the reader's own: nothing is fetched."""
    os.environ["TZ"] = "UTC"
    os.environ["LC_ALL"] = "C"
    time.tzset()
    console = Console(record=True, width=112, file=io.StringIO(), force_terminal=True, color_system="truecolor",
                      highlight=False, markup=False, emoji=False)  # fmt: skip
    console.print(screen(snapshot, follow=f"hisauto watch {snapshot.view.id}"))
    drawn = console.export_svg(title="hisauto run database-failover", theme=MONOKAI, unique_id="run")
    drawn = re.sub(r"<!-- .*? -->\s*", "", drawn)
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.S).replace("Fira Code", "DejaVu Sans Mono, Menlo")


def main(verb: str, *more: str) -> None:
    if verb == "record":
        from hisauto.app import App
        from hisauto.cli.snapshot import Follower

        app = App(Path(more[0]))
        RECORDED.write_text(dump(Follower(app, app.store.find_run(more[1]).id).snapshot()))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(load(RECORDED)))


if __name__ == "__main__":
    main(*sys.argv[1:])
