"""``rehearse``: a runbook through every fault, on a world that answers by facts."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hisauto.cli import completing
from hisauto.cli.language import message, tr
from hisauto.cli.options import reading
from hisauto.cli.session import Session
from hisauto.cli.terminal import clean, emit, note, say, unicode
from hisauto.cli.words import word
from hisauto.errors import Invalid
from hisauto.model.problems import Problem

if TYPE_CHECKING:
    from hisauto.app import App
    from hisauto.testing.rehearsal.explore import Bounds, Explored, Progress
    from hisauto.testing.rehearsal.played import Played
    from hisauto.testing.rehearsal.rehearse import Rehearsal

BETWEEN = message("between the steps")
HOWS = {
    "fails": message("fails"), "fails, yet takes effect": message("fails, yet takes effect"),
    "times out": message("times out"), "host unreachable": message("host unreachable"),
    "effect late": message("effect late"), "effect too late": message("effect too late"),
    "connection lost": message("connection lost"), "result lost": message("result lost"),
    "orchestrator dies before": message("orchestrator dies before"),
    "orchestrator dies during": message("orchestrator dies during"),
    "orchestrator dies after": message("orchestrator dies after"), "denied": message("denied"),
    "expired": message("expired"), "cancelled": message("cancelled"),
}  # fmt: skip
"""As the catalog finds them; the words are those of ``hisauto.testing.rehearsal.faults.How``."""


@click.command()
@click.argument("runbooks", nargs=-1, metavar="[RUNBOOK]...", shell_complete=completing.runbooks)
@click.option("--test", default="", metavar="NAME", help="Only this test of the file.")
@click.option("--step", default="", metavar="TEXT", help="Only faults at steps with this in their names.")
@click.option("--bound", type=click.IntRange(0, 2), default=2, show_default=True, help="Faults in one run, at most.")
@click.option("--schedules", type=click.IntRange(1), default=1000, show_default=True, help="Runs of a test, at most.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which pairs are taken, where not all are.")
@reading
def rehearse(
    session: Session, runbooks: tuple[str, ...], test: str, step: str, bound: int, schedules: int, seed: int
) -> int:
    """Run runbooks (names or files; without RUNBOOK all of the site's that have tests) through every fault: no host is
    needed and none is touched.

    The real interpreter runs on a world in memory, as NAME.tests.yml beside the runbook describes it. Every step fails,
    times out, loses its host, its connection, its result; the orchestrator dies before, during and after it; gates are
    denied and expire; people cancel; then two of these in one run. It fails where a law is broken: a state that must
    never be, a success that isn't, an undo that was owed, an effect twice, a lock that is left.

    \b
    Examples:
      hisauto rehearse database-failover
      hisauto rehearse database-failover --step promote --bound 1
      hisauto rehearse --schedules 200 --json
    \b
    Exit codes: 0 no law was broken · 1 one was, a fact is missing, or a file has mistakes · 2 no such runbook or tests
    """
    from hisauto.testing.rehearsal.explore import Bounds

    bounds = Bounds(faults=bound, schedules=schedules, seed=seed, step=step)
    found, broken = [], False
    for rehearsal in _open(session, runbooks):
        for explored, seconds in _play(session, rehearsal, bounds, test):
            broken = broken or bool(explored.wrong or explored.counterexamples)
            found.append(_whole(rehearsal, explored, seconds))
            if not session.json:
                _show(session, rehearsal, explored, seconds, bounds)
    if session.json:
        emit(found)
    return 1 if broken else 0


def _open(session: Session, runbooks: Sequence[str]) -> list[Rehearsal]:
    from hisauto import actions
    from hisauto.testing.rehearsal.rehearse import facts_beside, open_rehearsal

    known = actions.load()
    if runbooks:
        files = [Path(name) if _is_file(name) else session.app.runbook_file(name) for name in runbooks]
    else:
        files = session.app.runbook_files()
        for path in files:
            if not facts_beside(path).is_file():
                note(tr(f"{clean(path.stem)} has no tests, and is not rehearsed"))
        files = [path for path in files if facts_beside(path).is_file()]
    here = Path.cwd()
    return [open_rehearsal(path, known, lambda p: str(p.relative_to(here)) if p.is_relative_to(here) else str(p))
            for path in files]  # fmt: skip


def mistakes(app: App, runbooks: Sequence[Path]) -> tuple[list[str], list[Problem]]:
    """The tests beside these runbooks, and what is wrong with them."""
    from hisauto.testing.rehearsal.facts import read_facts
    from hisauto.testing.rehearsal.rehearse import facts_beside

    files, problems = [], []
    for beside in filter(Path.is_file, map(facts_beside, runbooks)):
        files.append(app.shown(beside.absolute()))
        try:
            read_facts(beside.read_bytes(), files[-1], app.actions)
        except OSError as error:
            problems.append(Problem(files[-1], 0, 0, "HA001", f"can't be read: {error.strerror}"))
        except Invalid as error:
            problems += error.problems
    return files, problems


def _is_file(name: str) -> bool:
    """A file needs no site around it."""
    return name.endswith((".yml", ".yaml")) and Path(name).is_file()


def _play(session: Session, rehearsal: Rehearsal, bounds: Bounds, test: str) -> Any:
    begun = time.monotonic()
    for explored in rehearsal.play(bounds, test=test, progress=_progress(session)):
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)
        yield explored, time.monotonic() - begun
        begun = time.monotonic()


def _progress(session: Session) -> Progress:
    def show(done: int, of: int) -> None:
        click.echo("\r\x1b[K" + tr(f"{done} of {of} schedules"), nl=False, err=True)

    return show if sys.stderr.isatty() and not session.json else lambda done, of: None


def _show(session: Session, rehearsal: Rehearsal, explored: Explored, seconds: float, bounds: Bounds) -> None:
    from rich.text import Text

    runbook, name = rehearsal.script.runbook.runbook, explored.test.test
    session.console.print(Text(f"{clean(runbook)}: {clean(name)}", style="bold"))
    if not explored.wrong and explored.singles:
        _table(session, explored)
    say(_covered(explored, seconds, bounds))
    mark = ("✗" if explored.counterexamples or explored.wrong else "✓") if unicode() else (
        "x" if explored.counterexamples or explored.wrong else "+")  # fmt: skip
    for why in explored.wrong:
        say(f"{mark} " + tr(clean(why)))
    if explored.wrong:
        _story(session, explored.calm)
    elif explored.counterexamples:
        n = len(explored.counterexamples)
        say(f"{mark} " + tr(f"a law is broken in {n} schedule{'' if n == 1 else 's'}; the shortest:"))
        _story(session, explored.counterexamples[0])
    else:
        say(f"{mark} " + tr("no law was broken"))
    say()


def _table(session: Session, explored: Explored) -> None:
    from rich.table import Table
    from rich.text import Text

    from hisauto.testing.rehearsal.rows import rows

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in (message("STEP"), message("WHAT GOES WRONG"), message("IT ENDS"), message("UNDONE"), message("LEFT")):
        table.add_column(tr(title))
    last = None
    for row in rows(explored.singles):
        step = clean(row.step) or tr(BETWEEN)
        style = "bold red" if row.broken else ""
        ends = ", ".join(": ".join(word(part) for part in end.split(": ")) for end in row.ends)
        table.add_row(
            Text(step if step != last else "", style="bold"), Text(", ".join(tr(HOWS[how]) for how in row.hows)),
            Text(ends, style=style), Text(clean(", ".join(row.undone)), style="magenta"),
            Text(clean(", ".join(row.left)), style="yellow"),
        )  # fmt: skip
        last = step
    session.console.print(table)


def _covered(explored: Explored, seconds: float, bounds: Bounds) -> str:
    """What was tried of all there is."""
    played = len(explored.every)
    said = [tr(f"{played} schedule{'' if played == 1 else 's'} in {seconds:.1f} s")]
    if explored.all_singles:
        said.append(tr(f"{len(explored.singles)} of {explored.all_singles} single faults"))
    if explored.all_pairs is not None:
        said.append(tr(f"{len(explored.pairs)} of {explored.all_pairs} pairs (seed {bounds.seed})"))
    return " · ".join(said)


def _story(session: Session, played: Played) -> None:
    from rich.text import Text

    for why in played.violations:
        session.console.print(Text("  " + clean(tr(why)), style="bold red"))
    for line in played.story:
        style = "bold red" if "!!!" in line else "bold yellow" if "***" in line else ""
        session.console.print(Text("  " + clean(line), style=style), soft_wrap=True)


def _whole(rehearsal: Rehearsal, explored: Explored, seconds: float) -> dict[str, Any]:
    from hisauto.testing.rehearsal.rows import rows

    return {
        "runbook": rehearsal.script.runbook.runbook,
        "version": rehearsal.script.runbook.version,
        "test": explored.test.test,
        "end": explored.calm.end,
        "expected": explored.test.end,
        "wrong": explored.wrong,
        "seconds": round(seconds, 3),
        "schedules": len(explored.every),
        "single_faults": {"played": len(explored.singles), "of": explored.all_singles},
        "pairs": {"played": len(explored.pairs), "of": explored.all_pairs},
        "rows": [asdict(row) for row in rows(explored.singles)],
        "counterexamples": [_broken(played) for played in explored.counterexamples],
    }


def _broken(played: Played) -> dict[str, Any]:
    return {
        "faults": [{"at": f.at, "step": f.step, "how": f.how.value} for f in played.schedule.faults],
        "answers": list(played.schedule.answers),
        "end": played.end,
        "why": played.why,
        "violations": played.violations,
        "story": played.story,
    }
