"""What a session promises, over SSH and on the node."""

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from hisauto.errors import Invalid
from hisauto.model.transport import Completed, Fate, Script
from hisauto.transports import session as session_module
from hisauto.transports import shell

from .places import STUBBORN, Gate, Place, left, until


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo out; echo err >&2; exit 3", Completed(3, "exit", b"out\n", b"err\n")),
        ("", Completed(0, "exit")),
        ("printf 'no newline'", Completed(0, "exit", b"no newline")),
        ("exit 137", Completed(137, "exit")),
        ("exit 124", Completed(124, "exit")),
        ("kill -TERM $$", Completed(143, "exit")),
        ("kill -KILL $$", Completed(137, "exit")),
        ("cat <<'E'\nit's \"$x\" `y` \\n\nE\n", Completed(0, "exit", b'it\'s "$x" `y` \\n\n')),
        ("read line; echo $?", Completed(0, "exit", b"1\n")),  # no input, and never ours
        ("# a comment only", Completed(0, "exit")),
        ("exec 9>&1; echo x >&9", Completed(0, "exit", b"x\n")),
    ],
)
def test_result(there: Place, run: str, script: str, expected: Completed) -> None:
    session = there.session(run)
    assert session.probe(Script(script)) == expected
    receipt = session.act("step", 1, Script(script), session.place())
    assert (receipt.fate, receipt.completed) == (Fate.finished, expected)


def test_every_byte(there: Place, run: str, tmp_path: Path) -> None:
    """Binary output on both streams, and a script of 300 kB, which no argument or variable could hold."""
    session, blob = there.session(run), bytes(range(256)) * 2000
    (tmp_path / "blob").write_bytes(blob)
    text = f"cat {tmp_path}/blob\ncat {tmp_path}/blob >&2\n" + "# it's long: 'quoted' \\ $x\n" * 12_000
    expected = Completed(0, "exit", blob, blob)
    assert session.probe(Script(text)) == expected
    assert session.act("step", 1, Script(text), session.place()).completed == expected


@pytest.mark.parametrize("script", ["echo early; echo also >&2", "printf early; sleep .4; printf late", "exit 3"])
def test_quicker_than_its_shell(there: Place, run: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a look writes before the shell has said its pid is not lost: an empty answer would be a lie."""
    expected = there.session(run).probe(Script(script))
    said = 'echo "$1 pid $pid"'
    assert said in shell.RECEIPTS
    monkeypatch.setattr(shell, "RECEIPTS", shell.RECEIPTS.replace(said, f"sleep .2; {said}"))
    slow = there.session(f"{run}-slow")
    for _ in range(2):
        assert slow.probe(Script(script)) == expected
    assert expected.out or expected.rc == 3


def test_much_output(there: Place, run: str) -> None:
    """50 MB pass through, 8 MiB of them are kept, and all of them were shown."""
    session = there.session(run)
    script = Script("head -c 50000000 /dev/zero; head -c 1000 /dev/zero >&2")
    for how in ("probe", "act"):
        seen = {"out": 0, "err": 0}

        def count(stream: str, data: bytes, seen: dict[str, int] = seen) -> None:
            seen[stream] += len(data)

        if how == "probe":
            done = session.probe(script, on_output=count)
        else:
            receipt = session.act("step", 1, script, session.place(), on_output=count)
            assert receipt.completed
            done = receipt.completed
        assert (len(done.out), len(done.err), done.truncated, done.rc) == (session_module.CAP, 1000, True, 0)
        assert seen == {"out": 50_000_000, "err": 1000}, how


def test_many_lines(there: Place, run: str) -> None:
    """30,000 lines as fast as a host writes them: all shown, in order, once, and all kept."""
    session, seen = there.session(run), bytearray()
    expected = "".join(f"line {n}\n" for n in range(30_000)).encode()
    script = Script("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i + 1)); done", timeout=60)
    receipt = session.act("step", 1, script, session.place(), on_output=lambda _, data: seen.extend(data))
    assert receipt.completed == Completed(0, "exit", expected) and bytes(seen) == expected
    seen.clear()
    assert session.probe(script, on_output=lambda _, data: seen.extend(data)).out == expected == bytes(seen)


def test_live_output(there: Place, run: str, gate: Gate) -> None:
    """It comes while the script runs, in order, once."""
    session, seen = there.session(run), bytearray()

    def show(stream: str, data: bytes) -> None:
        seen.extend(data)

    script = Script(f"echo first; {gate.wait}; echo second")
    thread = threading.Thread(target=lambda: session.act("step", 1, script, session.place(), on_output=show))
    thread.start()
    until(lambda: bytes(seen) == b"first\n", "the first line")
    gate.open()
    thread.join(20)
    assert bytes(seen) == b"first\nsecond\n"


@pytest.mark.parametrize("text", ["{0} finished 0 exit 1 0 0 0", "{0} whole", "{0} started", "{0} end 0", "{0}"])
def test_forged_frame(there: Place, run: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst case: the output knows the nonce. Output of an act is counted, not searched."""
    session, fixed = there.session(run), "f" * 24
    place = session.place()
    line = text.format(fixed)
    monkeypatch.setattr(shell, "nonce", lambda: fixed)
    receipt = session.act("step", 1, Script(f"echo '{line}'; echo '{line}' >&2; exit 4"), place)
    monkeypatch.undo()
    expected = Completed(4, "exit", f"{line}\n".encode(), f"{line}\n".encode())
    assert receipt.completed == expected
    assert session.probe(Script("echo next")).out == b"next\n"


def test_probe_sees_no_nonce(there: Place, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe's output is closed by the nonce, so what runs must have no way to it."""
    session = there.session(run)
    given: list[str] = []
    real = shell.nonce

    def nonce() -> str:
        given.append(real())
        return given[-1]

    monkeypatch.setattr(shell, "nonce", nonce)
    seen = session.probe(Script("env; set; tr '\\0' '\\n' </proc/$$/cmdline; cat /proc/$PPID/cmdline")).out
    assert given and b"HISAUTO_ATTEMPT" in seen
    assert not [n for n in given if n.encode() in seen]


def test_secret_environment(there: Place, run: str) -> None:
    """Exported to the script, in no process's arguments, gone from the receipt."""
    session, secret = there.session(run), f"pass'word-{run}"
    place = session.place()
    look = "echo \"$SECRET\"; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -cF \"$SECRET\"; true"
    for done in (
        session.probe(Script(look, env={"SECRET": secret})),
        session.act("step", 1, Script(look, env={"SECRET": secret}), place).completed,
    ):
        # grep's own arguments hold it, if cat comes late enough to see them
        assert done and done.out.decode().splitlines()[0] == secret
        assert int(done.out.decode().splitlines()[1]) <= 1
    kept = subprocess.run(["grep", "-rlF", f"word-{run}", there.base], capture_output=True, text=True).stdout
    assert [Path(p).name for p in kept.split()] == ["out"]
    with pytest.raises(Invalid):
        session.probe(Script("true", env={"A;B": "1"}))


def test_private_folders(there: Place, run: str) -> None:
    session = there.session(run)
    session.act("step", 1, Script("true"), session.place())
    for path in [there.base, *there.base.rglob("*")]:
        assert not path.stat().st_mode & 0o077, path


@pytest.mark.parametrize("how", ["timeout", "killed"])
@pytest.mark.parametrize("kind", ["probe", "act", "act without receipt"])
def test_ended_with_all_it_started(there: Place, run: str, nap: str, how: str, kind: str) -> None:
    session = there.session(run, grace=1)
    script = Script(STUBBORN.format(nap), timeout=1 if how == "timeout" else 60)
    begun = time.monotonic()
    cancelled = (lambda: time.monotonic() > begun + 0.3) if how == "killed" else None
    if kind == "probe":
        done: Completed | None = session.probe(script, cancelled=cancelled)
    else:
        place = session.place() if kind == "act" else None
        done = session.act("step", 1, script, place, cancelled=cancelled).completed
    assert done and (done.how, done.out) == (how, b"going\n")
    assert left(nap) == []


def test_term_comes_first(there: Place, run: str) -> None:
    session = there.session(run)
    script = Script("trap 'echo tidied; exit 7' TERM; sleep 60 & wait", timeout=1)
    assert session.act("step", 1, script, session.place()).completed == Completed(7, "timeout", b"tidied\n")


def test_background_survives_success(there: Place, run: str, nap: str) -> None:
    """A daemon that a script leaves behind is its effect."""
    session = there.session(run)
    receipt = session.act("step", 1, Script(f"setsid sleep {nap} & exit 0"), session.place())
    assert receipt.completed == Completed(0, "exit")
    (pid,) = left(nap)
    psutil.Process(pid).kill()


def test_nothing_stays_behind(there: Place, run: str) -> None:
    """A quick act's watch over its limit ends with it: no process waits out the hour on the host."""
    session, limit = there.session(run), 3_000_000 + time.monotonic_ns() % 1_000_000
    place = session.place()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: session.act(f"{i}", 1, Script("exit 0", timeout=limit), place), range(150)))
    until(lambda: not left(str(limit)), "the end of every watch", 5)


def test_side_by_side(there: Place, run: str) -> None:
    """Twelve at once on eight shells, and a kill of one that hangs: nothing waits for ever, nothing is mixed."""
    session = there.session(run)
    place = session.place()
    begun = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        hanging = pool.submit(
            session.act, "hang", 1, Script("sleep 60"), place, cancelled=lambda: time.monotonic() > begun + 0.5
        )
        results = list(pool.map(lambda i: session.act(f"{i}", 1, Script(f"sleep .2; echo {i}"), place), range(11)))
    assert [r.completed and r.completed.out for r in results] == [f"{i}\n".encode() for i in range(11)]
    killed = hanging.result().completed
    assert killed and killed.how == "killed"


@pytest.mark.parametrize("name", ["4[app07].2#1", "a/b", "..", "x" * 300, "é'\"$ `"])
def test_any_name(there: Place, name: str) -> None:
    session = there.session(name)
    receipt = session.act(name, 1, Script("echo x"), session.place())
    assert receipt.completed == Completed(0, "exit", b"x\n")
    assert session.settle(name, 1, session.place()).completed == receipt.completed
