"""The commands of docs/audit.md do what it says, with the tools that it names."""

from __future__ import annotations

import io
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from hisauto.audit import canonical, checkpoint, entry, export
from hisauto.audit.report import Code

from .logs import AT, KEY, SITE, grown

DOC = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
CHAIN, WORD = re.findall(r"^```sh\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export whose entry 3 is a signed word, and the person's public key."""
    run: list[str | Path] = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", tmp_path / "dba-1"]
    subprocess.run(run, check=True)
    card = {"question": "Übernehmen?", "what": "approve"}
    message = canonical.dumps(card)
    sign: list[str | Path] = ["ssh-keygen", "-Y", "sign", "-n", "hisauto", "-f", tmp_path / "dba-1"]
    signed = subprocess.run(sign, input=message, capture_output=True, check=True)
    log = grown(3)
    data = {"card": card, "signature": signed.stdout.decode()}
    word = entry.make(log.head, AT, "gate.approve", "r-1", "dba-1", data)
    log.head = log.head.append(word.raw)
    log.entries.append(word)
    log.add("step 4")
    sink = io.BytesIO()
    export.write(log.entries, [], KEY, sink, head=log.head, site=SITE, exported_at=AT, node_keys=[])
    (tmp_path / "log.jsonl").write_bytes(sink.getvalue())
    return tmp_path


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, check=False)


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "log.jsonl").read_text()
    assert old in text
    (folder / "log.jsonl").write_text(text.replace(old, new))


def test_the_chain_can_be_seen_with_a_shell(folder: Path) -> None:
    hashed, linked = shell(CHAIN, folder).stdout.split()
    assert hashed == linked
    change(folder, "gate.approve", "gate.reject")
    hashed, linked = shell(CHAIN, folder).stdout.split()
    assert hashed != linked


def test_a_word_can_be_verified_with_openssh(folder: Path) -> None:
    done = shell(WORD, folder)
    assert done.returncode == 0, done.stderr
    assert 'Good "hisauto" signature for dba-1' in done.stdout
    change(folder, "approve", "reject")
    assert shell(WORD, folder).returncode != 0


def test_the_checkpoint_that_is_shown_is_one() -> None:
    shown = re.search(r"```text\n(.*?) *```", DOC, re.DOTALL)
    assert shown
    assert textwrap.dedent(shown[1]) == checkpoint.sign(grown(9).head, SITE, AT, KEY)


def test_every_finding_is_explained_and_every_one_explained_exists() -> None:
    rows = re.findall(r"^\| .* \| .* \| (.*) \|$", DOC, re.MULTILINE)
    named = set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
    assert named == {str(code) for code in Code}
