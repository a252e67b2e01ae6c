"""Coverage-guided fuzzing of what reads runbooks, for a bounded time, in an environment of its own.

Only in campaigns (``HISAUTO_TORTURE=1``; ``HISAUTO_FUZZ_SECONDS`` is its time): it installs atheris, which has no place
among what users or other tests need. What it finds becomes a case of ``tests/runbook``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hisauto import actions
from hisauto.runbook.schema import json_schema

from ..conformance import law

ATHERIS = "atheris==3.0.0"
SECONDS = int(os.environ.get("HISAUTO_FUZZ_SECONDS", "300"))
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
HOME = REPOSITORY / "build" / "fuzz"
SAMPLES = [*REPOSITORY.glob("runbooks/*.yml"), *REPOSITORY.glob("tests/runbook/samples/*.yml")]


def keys(schema: Any) -> Iterator[str]:
    """Every field's name."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from keys(part)


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter with atheris. What is fuzzed is this repository's, with what this interpreter has."""
    found = HOME / "env" / "bin" / "python"
    if not (HOME / "env" / ATHERIS).exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME / "env"], check=True)
        pip: list[str | Path] = [found, "-m", "pip", "install", "-q", "--disable-pip-version-check", ATHERIS]
        subprocess.run(pip, check=True, capture_output=True)
        (HOME / "env" / ATHERIS).touch()
    return found


@pytest.mark.torture
@pytest.mark.skipif(not os.environ.get("HISAUTO_TORTURE"), reason="a long campaign: HISAUTO_TORTURE=1")
@pytest.mark.timeout(SECONDS + 300)
def test_no_bytes_break_what_reads_runbooks(python: Path, tmp_path: Path) -> None:
    (seeds := tmp_path / "seeds").mkdir()
    texts = [case.runbook for every in law.cases().values() for case in every]
    for n, seed in enumerate([*(path.read_bytes() for path in SAMPLES), *(text.encode() for text in texts)]):
        (seeds / str(n)).write_bytes(seed)
    (found := HOME / "corpus").mkdir(exist_ok=True)
    words = sorted({*keys(json_schema(actions.load())), "{{ ", " }}", "row.", "hosts.", "params.", "true", "null"})
    (tmp_path / "words").write_text("".join(f"{json.dumps(word)}\n" for word in words))
    bounds = [f"-max_total_time={SECONDS}", "-timeout=20", "-rss_limit_mb=1500", "-max_len=4096"]
    options = [f"-dict={tmp_path / 'words'}", f"-artifact_prefix={HOME}/", "-print_final_stats=1", *bounds]
    argv: list[str | Path] = [python, HERE / "target.py", found, seeds, *options]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), sysconfig.get_path("purelib")])}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    print("measured:", [line for line in done.stderr.splitlines() if line.startswith("stat::number_of_executed")])
