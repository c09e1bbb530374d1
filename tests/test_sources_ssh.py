"""slurm_voucher/sources/ssh.py against a real sshd: who is let in, what breaks off, what is odd."""

import shlex
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sshd
from homes import SWEPT, Home, furnished, one_line
from runs import a_run
from sshd import Sshd
from test_sources_sacct import ROW

from accounting.errors import ConfigInvalid, SlurmUnavailable
from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.logins import Login
from slurm_voucher.sources import BadRow, sacct_query, ssh

LINE = "|".join(ROW.values())


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    """An sshd with an account for who runs the tests."""
    with sshd.running() as found:
        yield found


def ask(login: Login, *asked: str, timeout_s: float = 60, **how: float) -> Iterator[bytes]:
    """Ask sacct there as a sweep does."""
    words = ["sacct", *asked]
    env = sacct_query.ENV
    return ssh.ask(login, words, unset=sacct_query.UNSET, env=env, timeout_s=timeout_s, **how)


def runs(found: Iterator[pa.Table | BadRow]) -> Iterator[Run]:
    """Yield the runs of tables."""
    for table in found:
        assert not isinstance(table, BadRow)
        yield from usage.runs(table)


def test_runs_come_over_ssh(server: Sshd) -> None:
    """The question is the local one, in UTC and without what would change the answer."""
    server.sacct(f"echo \"$TZ,$LC_ALL,$SLURM_TIME_FORMAT,$*\" >asked; echo '{LINE}'")
    found = sacct_query.ended(0, 1, "chengdu", login=server.login)

    assert list(runs(found)) == [a_run()]
    asked = shlex.join(sacct_query.command(0, 1)[1:])
    assert (server.folder / "asked").read_text() == f"UTC,C.UTF-8,,{asked}\n"


def test_words_are_quoted_for_the_shell(server: Sshd) -> None:
    """What would be a command for the host's shell comes to sacct as one word."""
    words = ["a b", "$(touch owned)", "`id`", ";", "'\"", "*", "", "-s", "\n", "李"]
    server.sacct("printf '%s\\0' \"$@\"")

    assert b"".join(ask(server.login, *words)).decode().split("\0")[:-1] == words
    assert not (server.folder / "owned").exists()


def test_a_sacct_elsewhere(server: Sshd, tmp_path: Path) -> None:
    """Where sacct is not on the path of the login, its whole path is told."""
    server.sacct("echo one")
    login = server.other(sacct=f"{server.folder}/my sacct")
    (server.folder / "sacct").rename(server.folder / "my sacct")

    assert b"".join(ask(login)) == b"one\n"
    assert server.login.command("sreport") == "sreport"
    assert login.command("sreport") == f"{server.folder}/sreport"
    with pytest.raises(
        SlurmUnavailable, match=r"127\.0\.0\.1:\d+: sacct-of-nobody: .*exit status 127\); try"
    ):
        list(ask(server.other(sacct="sacct-of-nobody")))  # this machine may have one of its own


def test_an_unknown_host_is_left(server: Sshd, tmp_path: Path) -> None:
    """A host whose key is not known is left and not written down; it is said what to do."""
    known = tmp_path / "known_hosts"
    known.write_text("# nobody\n")
    with pytest.raises(
        ConfigInvalid, match=r"its key ssh-ed25519 SHA256:\S+ is not in .*known_hos"
    ):
        list(ask(server.other(known_hosts=known)))
    assert known.read_text() == "# nobody\n"
    with pytest.raises(ConfigInvalid, match="No such file or directory; it must have the keys of"):
        list(ask(server.other(known_hosts=tmp_path / "none")))


def test_a_host_whose_key_changed_is_left(server: Sshd, tmp_path: Path) -> None:
    """A host that shows another key than the known one is somebody else."""
    known = tmp_path / "known_hosts"
    other = sshd.make_key(tmp_path / "other")
    known.write_text(f"[127.0.0.1]:{server.port} {other}")

    with pytest.raises(ConfigInvalid, match=r"its key SHA256:\S+ is another than the one in"):
        list(ask(server.other(known_hosts=known)))


def test_who_is_not_let_in(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key and a wrong user are refused, and so is who has neither key nor agent."""
    sshd.make_key(tmp_path / "wrong")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(ConfigInvalid, match=r"does not let \S+/wrong in .*authorized_keys"):
        list(ask(server.other(key=tmp_path / "wrong")))
    with pytest.raises(ConfigInvalid, match=r"^nobody@127.*does not let"):
        list(ask(server.other(user="nobody")))
    with pytest.raises(ConfigInvalid, match="no key is set, and no ssh-agent has one"):
        list(ask(server.other(key=None)))


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("junk", 0o600, "is no private key"),
        (None, 0o600, "is no private key .*No such file"),
        ("open", 0o644, "others can read this key; chmod 600"),
        ("locked", 0o600, "has a passphrase; leave key out and use ssh-agent"),
    ],
)
def test_keys_that_cannot_be_used(
    server: Sshd, tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    """A key that is none, that others can read or that has a passphrase is named."""
    key = tmp_path / "key"
    if content == "junk":
        key.write_text("junk\n")
    elif content:
        sshd.make_key(key, "-N", "geheim" if content == "locked" else "")
    if key.exists():
        key.chmod(mode)

    with pytest.raises(ConfigInvalid, match=words):
        list(ask(server.other(key=key)))


def test_a_connection_that_drops_in_the_middle_of_a_line(server: Sshd) -> None:
    """What is whole comes, the begin of a row is no row, and then it is said to try again."""
    half = LINE.removesuffix("held=48000000")
    server.sacct(f"rm -f go; echo '{LINE}'; printf %s '{half}'\n"
                 'until [ -e go ]; do sleep 0.1; done; kill -9 $PPID')  # fmt: skip

    def answer() -> Iterator[bytes]:
        for block in ask(server.login):
            yield block
            (server.folder / "go").touch()

    found = runs(sacct_query.read(answer(), "chengdu", source="sacct"))

    assert next(found) == a_run()
    with pytest.raises(SlurmUnavailable, match="broke off before its answer was whole; try again"):
        next(found)


def test_sacct_there_exits_in_the_middle(server: Sshd) -> None:
    """A failed sacct is reported with what it said, after its whole rows."""
    server.sacct(f"echo '{LINE}'; printf %s '{LINE[:-8]}'; echo 'sacct: error: gone' >&2; exit 3")
    found = runs(sacct_query.ended(0, 1, "chengdu", login=server.login))

    assert next(found) == a_run()
    with pytest.raises(SlurmUnavailable, match=r"sacct: error: gone \(exit status 3\); try again"):
        next(found)


def test_complaints_are_bounded(server: Sshd) -> None:
    """Megabytes on stderr hold nothing up, and one line of them is told."""
    server.sacct("yes complaint | head -c 8000000 >&2; echo out; exit 1")

    found = ask(server.login)
    assert next(found) == b"out\n"
    with pytest.raises(SlurmUnavailable) as told:
        next(found)
    assert "sacct: complaint (exit status 1)" in str(told.value)
    assert len(str(told.value)) < 200


def test_times_are_limited(server: Sshd) -> None:
    """A sacct that says nothing, or goes on for ever, is left when its time is over."""
    server.sacct("exec sleep 60")
    with pytest.raises(SlurmUnavailable, match="nothing came for 1 s; try again"):
        list(ask(server.login, silence_s=1))
    server.sacct("while echo more; do sleep 0.1; done")
    with pytest.raises(SlurmUnavailable, match="no complete answer in 2 s; try again"):
        list(ask(server.login, timeout_s=2))


def test_an_answer_without_end_is_bounded(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any year of jobs is refused, and what has come is not kept."""
    monkeypatch.setattr(ssh, "ANSWER_BYTES", 3_000_000)
    server.sacct("exec yes")

    with pytest.raises(SlurmUnavailable, match="more than 3000000 bytes; ask for less time"):
        for _ in ask(server.login):
            pass


def test_hosts_that_are_not_there(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nobody listens, and one where nobody says a word, are tried again later."""
    monkeypatch.setattr(ssh, "GREETING_S", 1)
    known = server.folder / "known_hosts"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(SlurmUnavailable, match=r"nable to connect.*; try again"):
            list(ask(server.other(port=port)))
        silent.listen()
        with pytest.raises(SlurmUnavailable, match=r"banner.*; try again"):
            list(ask(server.other(port=port, known_hosts=known)))


def test_a_reader_that_goes_away(server: Sshd) -> None:
    """Who stops reading ends the connection, sacct there, and the thread here."""
    server.sacct("trap 'touch over' PIPE; while echo more; do :; done 2>stopped; touch over")
    before = set(threading.enumerate())
    found = ask(server.login)

    assert next(found)
    found.close()  # type: ignore[attr-defined]
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()
    sshd.until((server.folder / "over").exists, "sacct ends")


@pytest.fixture
def home(tmp_path: Path, server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A book whose site asks for chengdu over SSH; there is no sacct here."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = furnished(tmp_path / "home")
    login = server.login
    (found.path / "config.yaml").write_text(
        f"ssh:\n  chengdu:\n    host: {login.host}\n    port: {login.port}\n"
        f"    user: {login.user}\n    key: {login.key}\n    known_hosts: {login.known_hosts}\n"
    )
    return found


def test_collect_over_ssh(home: Home, server: Sshd) -> None:
    """A sweep that broke off exits with 4 and moves nothing; the next one takes all, each once."""
    rows = [SWEPT.format(id=number, comment="") for number in (7, 8)]
    server.sacct(f"echo '{rows[0]}'; printf %s '{rows[1][:-9]}'; exit 1")
    one_line(home.run("collect", "--cluster", "chengdu"), 4, "exit status 1", "try again")
    server.sacct(f"echo '{rows[0]}'; echo '{rows[1]}'; echo \"$*\" >>asked")

    since = ("--since", "2024-07-01")  # in many stretches, each of which has the same rows here
    assert " 2 new, 0 changed" in home.ok("collect", "--cluster", "chengdu", *since)
    assert "-S 2024-06-30T16:00:00" in (server.folder / "asked").read_text()
    assert "2 runs read: 0 new, 0 changed, 2 known" in home.ok("collect", "--cluster", "chengdu")
    one_line(home.run("collect", "--cluster", "mianyang"), 4, "sacct: No such file")


def test_hostile_words_over_ssh(home: Home, server: Sshd) -> None:
    """Names and complaints of a host cannot steer the terminal of whoever collects."""
    evil = (
        SWEPT.format(id=7, comment="").replace("|li|", "|\x1b[31mli|").replace("|1|4|", "|1|\x1b|")
    )
    (server.folder / "rows").write_text(f"{evil}\n")
    server.sacct("cat rows; printf 'sacct: \\033[2J no\\n' >&2; exit 1")
    done = home.run("collect", "--cluster", "chengdu")

    assert done.exit_code == 4
    assert r"\x1b[2J no" in done.stderr
    assert "\x1b" not in done.output + done.stderr
    server.sacct("cat rows")
    done = home.run("collect", "--cluster", "chengdu")
    assert done.exit_code == 3
    assert r"line 1: NCPUS '\x1b' is no whole count" in done.stderr


def test_the_agent_has_the_key(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key file the agent's keys are used, each in turn."""
    server.sacct("echo in")
    sshd.make_key(tmp_path / "wrong")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with sshd.agent(tmp_path / "agent", tmp_path / "wrong"):
        with pytest.raises(ConfigInvalid, match="does not let a key of the agent in"):
            list(ask(server.other(key=None)))
        sshd.add(server.folder / "mine")
        assert b"".join(ask(server.other(key=None))) == b"in\n"
