"""Small faults in the engine, one at a time, each to be noticed by a case: that the suite bites.

``python -m tests.conformance.mutants`` tries those of ``mutants.yml`` and writes what came of it to ``caught.yml``: by
its name each mutant and the first case that failed, or null where all passed. Each is tried in a process of its own,
beginning with the case that caught it last. Names as arguments: only these, only by that case, and nothing is written.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from hisauto.store.engine import open_store
from hisauto.testing.cases import Case, Site
from hisauto.testing.clock import VirtualClock

from . import law

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CAUGHT = HERE / "caught.yml"
NO_END = "(it did not come to an end)"
LIMIT = 600
"""Seconds for all cases on a busy machine; some faults make loops without an end."""
AT_ONCE = 2
LIKELY = {
    **dict.fromkeys(("attempt", "acting"), "attempts"),
    **dict.fromkeys(("look", "guarding"), "looks"),
    **dict.fromkeys(("steps", "blocks", "batches"), "units"),
    **dict.fromkeys(("drive", "rollback", "proof"), "ends"),
    **dict.fromkeys(("gates", "decisions"), "people"),
}
"""Where the case that notices a fault of a part is likely to stand."""


@dataclass(frozen=True)
class Mutant:
    """A fault: this text of this file is replaced."""

    name: str
    file: str
    old: str
    new: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")


def mutants() -> dict[str, Mutant]:
    """All of them, by name."""
    parts = yaml.safe_load((HERE / "mutants.yml").read_text())
    return {
        f"{part}: {one['name']}": Mutant(one["name"], one.get("file", spec["file"]), one["from"], one["to"])
        for part, spec in parts.items()
        for one in spec["mutants"]
    }


def caught() -> dict[str, str | None]:
    """Mutant → the case that noticed it when they were last tried."""
    found: dict[str, str | None] = yaml.safe_load(CAUGHT.read_text()) if CAUGHT.exists() else {}
    return found


class _Finder(MetaPathFinder):
    """Finds one module of ours with a fault in it."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        file = str(ROOT / self.mutant.file)
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, file, self.mutant))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutant: Mutant) -> None:
        super().__init__(fullname, path)
        self.mutant = mutant

    def path_stats(self, path: str) -> Any:
        raise OSError("no compiled file may stand for this source")

    def get_data(self, path: str) -> bytes:
        source = super().get_data(path).decode()
        assert source.count(self.mutant.old) == 1
        return source.replace(self.mutant.old, self.mutant.new).encode()


class Theatre:
    """All cases, read once, and a fresh database for each process that plays them."""

    def __init__(self, folder: Path, *, only: bool) -> None:
        """``only``: by nothing but the case that caught a mutant last."""
        self.folder, self.only = folder, only
        self.site: Site = law.read_site()
        self.cases = law.cases()
        self.mutants, self.known = mutants(), caught()
        open_store(f"sqlite:///{folder}/new.db", VirtualClock()).close()

    def order(self, name: str) -> Iterator[Case]:
        """The cases, the likeliest first."""
        likely, first = LIKELY.get(name.partition(":")[0]), self.known.get(name)
        every = [case for stem in sorted(self.cases, key=lambda s: s != likely) for case in self.cases[stem]]
        yield from (case for case in every if case.case == first)
        if not (self.only and first):
            yield from (case for case in every if case.case != first)

    def play(self, name: str) -> str | None:
        """In a process of its own: put the fault in, and play until a case notices."""
        for module in [m for m in sys.modules if m.split(".")[0] == "hisauto"]:
            del sys.modules[module]
        sys.meta_path.insert(0, _Finder(self.mutants[name]))
        from hisauto.store.engine import open_store
        from hisauto.testing.performance import Performance

        clock, file = VirtualClock(), self.folder / f"{os.getpid()}.db"
        shutil.copy(self.folder / "new.db", file)
        store = open_store(f"sqlite:///{file}", clock)
        sa.event.listen(store.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF"))
        store.engine.dispose()
        for case in self.order(name):
            try:
                said = Performance(case, self.site, store, clock).play()
            except Exception as error:  # it may break in any way
                said = [repr(error)]
            if said:
                return case.case
        return None

    def every(self, names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """Try them, a few at a time."""
        left = list(names)
        running: dict[int, str] = {}
        while left or running:
            while left and len(running) < AT_ONCE:
                name = left.pop(0)
                running[self._start(name)] = name
            child, status = os.waitpid(-1, 0)
            name = running.pop(child)
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
                yield name, NO_END
            elif status:
                raise RuntimeError(f"{name}: it could not be tried")
            else:
                yield name, json.loads((self.folder / f"{child}.json").read_text())

    def _start(self, name: str) -> int:
        child = os.fork()
        if child == 0:
            signal.alarm(LIMIT)
            try:
                (self.folder / f"{os.getpid()}.json").write_text(json.dumps(self.play(name)))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        return child


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        theatre = Theatre(Path(folder), only=bool(names))
        found = {}
        for name, case in theatre.every(names or theatre.mutants):
            found[name] = case
            print(f"{name}: {case or 'NOT NOTICED'}", flush=True)
    alive = [name for name, case in found.items() if case is None]
    if not names:
        ordered = {name: found[name] for name in theatre.mutants}
        CAUGHT.write_text(yaml.safe_dump(ordered, sort_keys=False, width=200, allow_unicode=True))
        print(f"{len(found) - len(alive)} of {len(found)} mutants were noticed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
