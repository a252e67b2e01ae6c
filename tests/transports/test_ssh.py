"""Reaching hosts over SSH: who they are, who we are, and what we say when it does not work."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hisauto.errors import HisautoError, HostKeyMismatch, Invalid, Unreachable
from hisauto.model.transport import Completed, Fate, Lost, Script, Session
from hisauto.transports.address import Address
from hisauto.transports.keys import Keys
from hisauto.transports.ssh import SshTransport

from .places import Place, Sshd, free_port, keygen, stop_sshd

Connect = Callable[..., Session]


@pytest.fixture
def connect(sshd: Sshd, tmp_path: Path) -> Iterator[Connect]:
    """A session to the server with one thing changed."""
    made: list[SshTransport] = []

    def to(server: Sshd = sshd, vars: dict[str, Any] | None = None, **options: Any) -> Session:
        options = {"known_hosts": [server.known_hosts], "keys": Keys([server.key]), **options}
        made.append(SshTransport(base=str(tmp_path / "receipts"), **options))
        return made[-1].session("db01", {**server.vars, **(vars or {})}, "run")

    yield to
    for transport in made:
        transport.close()


def refused(session: Session) -> HisautoError:
    with pytest.raises(Unreachable) as caught:
        session.probe(Script("true"))
    return caught.value


def test_unknown_host(connect: Connect, tmp_path: Path, sshd: Sshd) -> None:
    error = refused(connect(known_hosts=[tmp_path / "none"]))
    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert shown in str(error) and str(tmp_path / "none") in str(error) and f"[127.0.0.1]:{sshd.port}" in str(error)
    assert error.hint and not isinstance(error, HostKeyMismatch)
    assert not (tmp_path / "none").exists()


def test_changed_host_key(connect: Connect, tmp_path: Path, sshd: Sshd) -> None:
    other = keygen(tmp_path / "other")
    line = (other.with_suffix(".pub")).read_text().split()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{sshd.port} {line[0]} {line[1]}\n")
    error = refused(connect(known_hosts=[tmp_path / "known"]))
    assert isinstance(error, HostKeyMismatch) and error.hint


def test_revoked_host_key(connect: Connect, tmp_path: Path, sshd: Sshd) -> None:
    line = sshd.known_hosts.read_text()
    (tmp_path / "known").write_text(line + "@revoked * " + line.split(" ", 1)[1])
    assert "revoked" in str(refused(connect(known_hosts=[tmp_path / "known"])))


def test_hashed_known_hosts(connect: Connect, tmp_path: Path, sshd: Sshd) -> None:
    shutil.copy(sshd.known_hosts, tmp_path / "known")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "known"], check=True, capture_output=True)
    assert "127.0.0.1" not in (tmp_path / "known").read_text()
    assert connect(known_hosts=[tmp_path / "known"]).probe(Script("echo x")).out == b"x\n"


def test_asks_for_the_key_type_on_file(connect: Connect, new_sshd: Callable[..., Sshd]) -> None:
    """A server with several keys is asked for the one we know, whatever it would rather show."""
    server = new_sshd()
    keygen(server.folder / "rsa", "rsa")
    with (server.folder / "sshd_config").open("a") as f:
        f.write(f"HostKey {server.folder}/rsa\n")
    server.process.send_signal(1)  # reads its configuration again
    kind, blob = (server.folder / "rsa.pub").read_text().split()[:2]
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {blob}\n")
    deadline = time.monotonic() + 10
    while True:  # until it is back
        try:
            assert connect(server).probe(Script("echo x")).out == b"x\n"
            return
        except Unreachable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_wrong_key(connect: Connect, tmp_path: Path, sshd: Sshd) -> None:
    key = keygen(tmp_path / "wrong")
    error = refused(connect(keys=Keys([key])))
    assert str(key) in str(error) and "SHA256:" in str(error) and f"{getpass.getuser()}@127.0.0.1" in str(error)
    assert error.hint and "authorized_keys" in error.hint


def test_second_key_is_tried(connect: Connect, tmp_path: Path, sshd: Sshd) -> None:
    assert connect(keys=Keys([keygen(tmp_path / "wrong"), sshd.key])).probe(Script("true")).rc == 0


def test_receipts_of_the_inventory(connect: Connect, sshd: Sshd, tmp_path: Path) -> None:
    own = {"hisauto_known_hosts": str(sshd.known_hosts), "hisauto_receipts": str(tmp_path / "own")}
    assert connect(known_hosts=[], vars=own).place()
    assert list((tmp_path / "own").iterdir())


def test_key_of_the_inventory(connect: Connect, sshd: Sshd) -> None:
    session = connect(keys=Keys(), vars={"ansible_ssh_private_key_file": str(sshd.key)})
    assert session.probe(Script("true")).rc == 0
    assert "no key is configured" in str(refused(connect(keys=Keys())))


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_encrypted_key(connect: Connect, tmp_path: Path, sshd: Sshd, kind: str) -> None:
    key = keygen(tmp_path / "locked", kind, "open sesame")
    with (sshd.folder / "authorized_keys").open("a") as f:
        f.write(key.with_suffix(".pub").read_text())
    assert "encrypted" in str(refused(connect(keys=Keys([key]))))
    wrong = refused(connect(keys=Keys([key], passphrase=lambda _: "wrong sesame")))
    assert "passphrase" in str(wrong) and "sesame" not in str(wrong)
    asked: list[Path] = []

    def passphrase(path: Path) -> str:
        asked.append(path)
        return "open sesame"

    keys = Keys([key], passphrase=passphrase)
    for _ in range(2):
        assert connect(keys=keys).probe(Script("true")).rc == 0
    assert asked == [key]


@pytest.mark.parametrize("content", [None, "", "not a key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_unusable_key_file(connect: Connect, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    assert str(path) in str(refused(connect(keys=Keys([path]))))


def test_agent(connect: Connect, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/tmp/agent-{os.getpid()}-{free_port()}"  # a socket's path has to be short
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            deadline = time.monotonic() + 10
            while not Path(path).exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert "no key" in str(refused(connect(keys=Keys(agent=True))))
            subprocess.run(["ssh-add", "-q", sshd.key], check=True, capture_output=True)
            assert connect(keys=Keys(agent=True)).probe(Script("true")).rc == 0
            assert connect(keys=Keys([keygen(tmp_path / "wrong")], agent=True)).probe(Script("true")).rc == 0
        finally:
            agent.kill()
            Path(path).unlink(missing_ok=True)


def test_nobody_there(connect: Connect) -> None:
    error = refused(connect(vars={"ansible_port": free_port()}))
    assert "db01" in str(error) and "127.0.0.1" in str(error) and "refused" in str(error)


def test_not_ssh(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Something answers that never speaks SSH: given up in time, said once, and without a traceback in any log."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begun = time.monotonic()
        error = refused(connect(vars={"ansible_port": listener.getsockname()[1]}, connect_timeout=1.0))
        assert "no SSH there" in str(error) and time.monotonic() - begun < 10
    assert caplog.records == []


def test_variables() -> None:
    plain = Address.of("db01", {})
    assert (plain.address, plain.port, plain.user, plain.key_file) == ("db01", 22, getpass.getuser(), None)
    full = Address.of("db01", {"ansible_host": "10.0.0.1", "ansible_port": "2222", "ansible_user": "ops"})
    assert str(full) == "db01 (ops@10.0.0.1:2222)"
    with pytest.raises(Invalid):
        Address.of("db01", {"ansible_port": "ssh"})


def test_login_shell_that_prints(connect: Connect, new_sshd: Callable[..., Sshd]) -> None:
    server = new_sshd(ForceCommand='echo welcome; echo motd >&2; eval "$SSH_ORIGINAL_COMMAND"')
    session = connect(server)
    expected = Completed(3, "exit", b"x\n", b"y\n")
    script = Script("echo x; echo y >&2; exit 3")
    assert session.probe(script) == expected
    assert session.act("step", 1, script, session.place()).completed == expected


@pytest.mark.parametrize("shell", ["fish", "csh", "tcsh", "sleep 2; sh"])
def test_login_shell_that_is_none_of_posix(connect: Connect, new_sshd: Callable[..., Sshd], shell: str) -> None:
    """Or one whose rc file takes its time."""
    name = shell.split()[-1]
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    session = connect(new_sshd(ForceCommand=f'{shell} -c "$SSH_ORIGINAL_COMMAND"'), silence=1.5)
    expected = Completed(3, "exit", b"x\n", b"y\n")
    script = Script("if true; then v=x; fi; echo $v; echo y >&2; exit 3")
    assert session.probe(script) == expected
    assert session.act("step", 1, script, session.place()).completed == expected


def test_no_shell(connect: Connect, new_sshd: Callable[..., Sshd]) -> None:
    server = new_sshd(ForceCommand="echo 'This account is not available.'; exit 1")
    error = refused(connect(server))
    assert "not available" in str(error) and error.hint and "hisauto_shell" in error.hint


def test_bare_host(connect: Connect, new_sshd: Callable[..., Sshd]) -> None:
    """An appliance that runs one command a channel, declared as such: no receipts, and no end that isn't known."""
    session = connect(new_sshd(), vars={"hisauto_shell": "none"})
    assert session.place() is None
    assert session.probe(Script("echo x; echo y >&2; exit 3")) == Completed(3, "exit", b"x\n", b"y\n")
    assert session.act("step", 1, Script("exit 4"), None).completed == Completed(4, "exit")
    assert session.act("step", 1, Script("exit 4"), "some.place").fate is Fate.no_receipts
    assert session.settle("step", 1, None).fate is Fate.no_receipts
    with pytest.raises(Lost):
        session.probe(Script("sleep 30", timeout=0.3))
    with pytest.raises(Invalid):
        session.probe(Script("true", env={"A": "1"}))
    with pytest.raises(Invalid):
        connect(vars={"hisauto_shell": "powershell"})


def test_no_flock(connect: Connect, new_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    """A host without a tool keeps no receipts, and says so; it can still be looked at and worked on."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "setsid", "grep", "head", "tail", "wc", "ln", "mv", "rm", "mkdir", "sleep", "id", "timeout"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    session = connect(new_sshd(SetEnv=f"PATH={tools}"))
    assert session.place() is None
    assert session.act("step", 1, Script("echo x; exit 3"), None).completed == Completed(3, "exit", b"x\n")
    limited = session.act("slow", 1, Script("sleep 60", timeout=1), None).completed
    assert limited and limited.how == "timeout"


def test_comes_back(over_ssh: Place, run: str) -> None:
    """One connection for many steps; after it was lost, the next call makes a new one."""
    server, session = over_ssh.sshd, over_ssh.session(run)
    assert server
    before = server.connections()
    for _ in range(5):
        session.probe(Script("true"))
    (mine,) = server.connections() - before
    cut = threading.Timer(0.2, mine.kill)
    cut.start()
    with pytest.raises(Lost):
        session.probe(Script("sleep 30"))
    cut.join()
    assert session.probe(Script("echo x")).out == b"x\n"


def test_lost_with_the_host(new_sshd: Callable[..., Sshd], connect: Connect) -> None:
    """The host is gone altogether, while we look at the output: what was started is `Lost`, never just unreachable."""
    server = new_sshd()
    session = connect(server)
    place = session.place()
    cut = threading.Timer(0.6, stop_sshd, (server,))
    cut.start()
    with pytest.raises(Lost):
        session.act(
            "step", 1, Script("sleep 3"), place, on_output=lambda *_: None, cancelled=lambda: not cut.is_alive()
        )
    cut.join()
    with pytest.raises(Unreachable) as caught:
        session.act("other", 1, Script("true"), place)
    assert not isinstance(caught.value, Lost)


def test_frame_under_way_never_runs(over_ssh: Place, run: str, tmp_path: Path) -> None:
    """A shell that was lost while it stood still must not start, later, what we were told had never started."""
    server, session = over_ssh.sshd, over_ssh.session(run)
    assert server
    before = server.connections()
    place = session.place()
    connections = server.connections() - before
    (frozen,) = server.shells(connections)
    frozen.suspend()
    cut = threading.Timer(0.3, lambda: [c.kill() for c in connections])
    cut.start()
    with pytest.raises(Unreachable):
        session.act("step", 1, Script(f"echo x >>{tmp_path}/effect"), place)
    cut.join()
    assert session.settle("step", 1, place).fate is Fate.none
    assert not frozen.is_running() or frozen.status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "effect").exists()


@pytest.fixture
def other_user() -> str:
    if not shutil.which("sudo") or os.geteuid() != 0:
        pytest.skip("sudo to another user without a password needs root here")
    if subprocess.run(["sudo", "-n", "-H", "-u", "nobody", "true"], capture_output=True).returncode:
        pytest.skip("sudo does not work here")
    return "nobody"


def test_become(there: Place, other_user: str, run: str) -> None:
    """The whole shell, receipts included, is the other user's."""
    session = there.session(run, base=f"/var/tmp/hisauto-test-{run}")
    try:
        place = session.place(other_user)
        assert place and place == session.place(other_user)
        script = Script("id -un; id -u", become=other_user)
        assert session.probe(script).out.split()[0] == b"nobody"
        receipt = session.act("step", 1, script, place)
        assert receipt.completed and receipt.completed.out.split()[0] == b"nobody"
        owner = Path(f"/var/tmp/hisauto-test-{run}").stat()
        assert (owner.st_uid, owner.st_mode & 0o777) == (int(receipt.completed.out.split()[1]), 0o700)
        slow = Script("sleep 60", become=other_user, timeout=1)
        limited = session.act("slow", 1, slow, place).completed
        assert limited and limited.how == "timeout"
        again = there.session(run, base=f"/var/tmp/hisauto-test-{run}").settle("step", 2, place, become=other_user)
        assert again.completed == receipt.completed
    finally:
        subprocess.run(["rm", "-rf", f"/var/tmp/hisauto-test-{run}"], check=True)


def test_become_refused(there: Place, run: str) -> None:
    if not shutil.which("sudo"):
        pytest.skip("sudo is not installed")
    with pytest.raises(Unreachable, match="can't become no-such-user") as caught:
        there.session(run).probe(Script("true", become="no-such-user"))
    assert caught.value.hint and "sudoers" in caught.value.hint


def test_sudo_that_asks_for_a_password(connect: Connect, new_sshd: Callable[..., Sshd]) -> None:
    """Said at once, with host and user, and never waited for. A real sudo asks whoever is not in sudoers."""
    if os.geteuid() != 0 or not shutil.which("sudo") or not shutil.which("runuser"):
        pytest.skip("only root can log in as somebody whom sudo asks")
    server = new_sshd(ForceCommand='exec runuser -u nobody -- sh -c "$SSH_ORIGINAL_COMMAND"')
    begun = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        connect(server).probe(Script("true", become="games"))
    assert "sudo asks for a password to become games" in str(caught.value) and "db01" in str(caught.value)
    assert caught.value.hint and "NOPASSWD" in caught.value.hint and time.monotonic() - begun < 20
