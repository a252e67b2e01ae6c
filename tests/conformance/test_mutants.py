"""The suite bites: each small fault in the engine is noticed by a case."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import pytest

from . import law, mutants

EVERY = mutants.mutants()
CAUGHT = mutants.caught()
WHOLE = bool(os.environ.get("HISAUTO_TORTURE"))
SAMPLE = sorted(EVERY) if WHOLE else random.Random(1).sample(sorted(EVERY), 6)


@pytest.mark.parametrize("mutant", EVERY.values(), ids=list(EVERY))
def test_a_mutant_changes_something(mutant: mutants.Mutant) -> None:
    assert (law.ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_each_mutant_was_noticed_by_a_case_that_is_there() -> None:
    there = {case.case for cases in law.cases().values() for case in cases} | {mutants.NO_END}
    assert list(CAUGHT) == list(EVERY), "make mutants"
    assert {name: case for name, case in CAUGHT.items() if case not in there} == {}


def test_the_page_says_how_many() -> None:
    page = (law.ROOT / "docs" / "testing.md").read_text()
    (tried, noticed) = re.findall(r"(\d+) of them, (\w+) noticed", page)[0]
    alive = [name for name, case in CAUGHT.items() if case is None]
    assert (int(tried), noticed) == (len(EVERY), "all" if not alive else str(len(EVERY) - len(alive)))


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_it_is_noticed() -> None:
    words = [sys.executable, "-m", "tests.conformance.mutants", *SAMPLE]
    done = subprocess.run(words, cwd=law.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
